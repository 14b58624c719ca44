enum SpoolModule {}

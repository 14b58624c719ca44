enum PublishModule {}

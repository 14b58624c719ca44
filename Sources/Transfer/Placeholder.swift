enum TransferModule {}

enum SumPoolModule {}

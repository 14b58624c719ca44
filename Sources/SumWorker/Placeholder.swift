enum SumWorkerModule {}

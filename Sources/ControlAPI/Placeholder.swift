enum ControlAPIModule {}

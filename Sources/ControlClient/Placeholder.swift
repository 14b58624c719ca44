enum ControlClientModule {}

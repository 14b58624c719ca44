enum ControlServerModule {}

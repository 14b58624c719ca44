enum CurlModule {}

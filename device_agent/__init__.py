"""The device agent: measures leased tasks on a device and uploads the visits."""

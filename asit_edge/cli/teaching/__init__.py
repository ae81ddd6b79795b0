"""Commands by which a device learns from its owner: `asit-edge teach | taught | wrong | missed | calibrate`."""

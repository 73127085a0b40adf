package main

import (
	"os"
	"strconv"
	"time"

	"op25b/internal/controller"
	"op25b/internal/telemetry"
)

// hurryVariable is the environment variable with the factor by which the rollouts of op25b serve are in a hurry in a test.
const hurryVariable = "OP25B_TEST_HURRY"

// hurried returns the change of a controller's settings that hurryVariable asks for, or nil. A rollout then measures and soaks a fraction of the time.
// The counters are sampled each second, which is as often as a switch allows, and those of lines too.
func hurried() adjustment {
	factor, err := strconv.Atoi(os.Getenv(hurryVariable))
	if err != nil {
		return nil
	}
	return func(c *controller.Config) {
		c.Hurry, c.Telemetry = factor, telemetry.Config{Interval: time.Second, LineInterval: time.Second}
	}
}

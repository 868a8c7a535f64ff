//go:build unix

package main

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"time"
)

func TestCostIsThatOfTheCommand(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "cost.json")
	code, err := run(t.Context(), file, "/bin/sh", []string{"-c", "sleep 0.2; exit 3"})
	if code != 3 || err != nil {
		t.Fatalf("got %d, %v", code, err)
	}
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var got struct {
		Begin, End time.Time
		CPU        *time.Duration
		Memory     int64
	}
	if err := json.Unmarshal(b, &got); err != nil {
		t.Fatal(err)
	}
	if wall := got.End.Sub(got.Begin); wall < 200*time.Millisecond {
		t.Errorf("a sleep of 0.2 s took %s", wall)
	}
	if got.CPU == nil || got.Memory <= 0 {
		t.Errorf("got %s", b)
	}
}

func TestCommandEndsWithCost(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	dir := t.TempDir()
	started := filepath.Join(dir, "started")
	done := make(chan error, 1)
	go func() {
		_, err := run(ctx, filepath.Join(dir, "cost.json"), "/bin/sh", []string{"-c", "touch " + started + "; exec sleep 600"})
		done <- err
	}()
	for {
		if _, err := os.Stat(started); err == nil {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	cancel()
	select {
	case err := <-done:
		if err == nil {
			t.Error("an interrupted run has no error")
		}
	case <-time.After(time.Minute):
		t.Error("the command goes on")
	}
}

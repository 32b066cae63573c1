// Prints a Compose file as Docker Compose reads it: checked against the Compose Specification, with the environment and the .env
// file beside it put in.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"runtime/debug"

	"github.com/compose-spec/compose-go/v2/cli"
)

const module = "github.com/compose-spec/compose-go/v2"

func main() {
	if len(os.Args) == 2 && os.Args[1] == "version" {
		fmt.Println("compose-config", version())
		return
	}
	if err := show(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func show(files []string) error {
	options, err := cli.NewProjectOptions(files, cli.WithOsEnv, cli.WithEnvFiles(), cli.WithDotEnv)
	if err != nil {
		return err
	}
	project, err := options.LoadProject(context.Background())
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(project)
}

func version() string {
	build, _ := debug.ReadBuildInfo()
	for _, dependency := range build.Deps {
		if dependency.Path == module {
			return dependency.Version
		}
	}
	return "unknown"
}

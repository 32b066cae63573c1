// The official provider as its own command starts it, with the schema that its release embeds and its module leaves out.
package main

import (
	_ "embed"
	"fmt"
	"os"

	"github.com/pulumi/pulumi-kubernetes/provider/v4/pkg/provider"
	"github.com/pulumi/pulumi-kubernetes/provider/v4/pkg/version"
)

//go:embed schema.json
var schema []byte

//go:embed terraform-mapping.json
var terraformMapping []byte

func main() {
	if len(os.Args) == 2 && os.Args[1] == "--version" {
		fmt.Println("pulumi-kubernetes", version.Version)
		return
	}
	provider.Serve("kubernetes", version.Version, schema, terraformMapping)
}

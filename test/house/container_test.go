package house

import (
	"debug/elf"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"
)

const root = "../.."

// instruction is a line of the Dockerfile.
type instruction struct{ name, rest string }

// dockerfile returns the instructions of each stage.
func dockerfile(t *testing.T) (stages [][]instruction) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, "Dockerfile"))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(strings.ReplaceAll(string(text), "\\\n", " ")) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		name, rest, _ := strings.Cut(line, " ")
		if name == "FROM" {
			stages = append(stages, nil)
		}
		last := len(stages) - 1
		stages[last] = append(stages[last], instruction{name, strings.TrimSpace(rest)})
	}
	if len(stages) != 2 {
		t.Fatalf("the Dockerfile has %d stages", len(stages))
	}
	return stages
}

// find returns the rest of the instructions of that name.
func find(stage []instruction, name string) (found []string) {
	for _, i := range stage {
		if i.name == name {
			found = append(found, i.rest)
		}
	}
	return found
}

// TestImage: what runs is the program alone, as nobody, without a shell.
func TestImage(t *testing.T) {
	image := dockerfile(t)[1]
	if from := find(image, "FROM"); from[0] != "scratch" {
		t.Errorf("the image is made from %s", from[0])
	}
	if user := find(image, "USER"); len(user) != 1 || !regexp.MustCompile(`^[1-9]\d*:[1-9]\d*$`).MatchString(user[0]) {
		t.Errorf("USER %q: Kubernetes' runAsNonRoot knows numbers alone", user)
	}
	if shell := find(image, "RUN"); len(shell) > 0 {
		t.Errorf("RUN %q: there is nothing that could", shell)
	}
	for _, name := range []string{"ENTRYPOINT", "HEALTHCHECK"} {
		rest := find(image, name)
		if len(rest) != 1 {
			t.Fatalf("%s: %q", name, rest)
		}
		_, list, _ := strings.Cut(" "+rest[0], " [")
		var words []string
		if err := json.Unmarshal([]byte("["+list), &words); err != nil || words[0] != "/oauthproxy" {
			t.Errorf("%s %s takes a shell, or isn't ours: %v", name, rest[0], err)
		}
	}
}

// TestImageIsBuilt does what the first stage does, without Docker: with Go of
// its version, and with no other files than it gets.
func TestImageIsBuilt(t *testing.T) {
	build := dockerfile(t)[0]
	goVersion, err := exec.Command("go", "list", "-m", "-f", "{{.GoVersion}}").Output()
	if from := find(build, "FROM")[0]; err != nil || !strings.HasPrefix(string(goVersion), strings.TrimSuffix(strings.TrimPrefix(from, "golang:"), " AS build")) {
		t.Errorf("FROM %s, but go.mod has %s (%v)", from, goVersion, err)
	}
	src := t.TempDir()
	copyContext(t, src)
	program := filepath.Join(t.TempDir(), "oauthproxy")
	commands := slices.DeleteFunc(find(build, "RUN"), func(c string) bool { return !strings.Contains(c, "go build") })
	if len(commands) != 1 {
		t.Fatalf("RUN %q", commands)
	}
	if runtime.GOOS != "linux" {
		t.Skip("what follows is for Linux")
	}
	run := exec.Command("sh", "-c", strings.ReplaceAll(commands[0], "/out/oauthproxy", program))
	run.Dir = src
	if out, err := run.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", commands[0], err, out)
	}
	file, err := elf.Open(program)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if libraries, err := file.ImportedLibraries(); err != nil || len(libraries) > 0 || file.Section(".interp") != nil {
		t.Errorf("the program isn't static: it takes %v (%v)", libraries, err)
	}
}

// copyContext copies what .dockerignore lets through.
func copyContext(t *testing.T, to string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, ".dockerignore"))
	if err != nil {
		t.Fatal(err)
	}
	if lines := strings.Fields(regexp.MustCompile(`(?m)^#.*`).ReplaceAllString(string(text), "")); lines[0] != "*" {
		t.Fatalf(".dockerignore begins with %s, not with all", lines[0])
	}
	for _, name := range regexp.MustCompile(`(?m)^!(\S+)`).FindAllStringSubmatch(string(text), -1) {
		if out, err := exec.Command("cp", "-r", filepath.Join(root, name[1]), to).CombinedOutput(); err != nil {
			t.Errorf("%s: %s", name[1], out)
		}
	}
	remove := exec.Command("sh", "-c", `find . -name '*_test.go' -delete; find . -depth -name testdata -exec rm -r {} +`)
	remove.Dir = to
	if out, err := remove.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
}

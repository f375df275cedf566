package tokens

import (
	_ "embed"
	"fmt"
	"strconv"
	"strings"
)

// advice is what we know about one of Entra's error numbers.
type advice struct {
	class    Class
	says, do string
}

//go:embed aadsts.tsv
var aadstsFile string

// aadsts is the table in aadsts.tsv.
var aadsts = mustParseAdvice(aadstsFile)

var classNames = map[string]Class{
	"later":         TryLater,
	"person":        PersonNeeded,
	"administrator": AdministratorNeeded,
	"setup":         SetUpWrong,
}

// mustParseAdvice panics on a fault in the table, which is part of the program.
func mustParseAdvice(file string) map[int]advice {
	table := map[int]advice{}
	for i, line := range strings.Split(strings.TrimSpace(file), "\n") {
		if strings.HasPrefix(line, "#") {
			continue
		}
		fields := strings.Split(line, "\t")
		if len(fields) != 4 {
			panic(fmt.Sprintf("aadsts.tsv:%d: %d fields", i+1, len(fields)))
		}
		class, found := classNames[fields[1]]
		if !found {
			panic(fmt.Sprintf("aadsts.tsv:%d: no class %q", i+1, fields[1]))
		}
		for _, digits := range strings.Split(fields[0], ",") {
			code, err := strconv.Atoi(digits)
			if _, twice := table[code]; err != nil || twice {
				panic(fmt.Sprintf("aadsts.tsv:%d: code %q is no number or stands there twice", i+1, digits))
			}
			table[code] = advice{class, fields[2], fields[3]}
		}
	}
	return table
}

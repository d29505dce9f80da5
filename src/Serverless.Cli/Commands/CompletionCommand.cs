using System.CommandLine;
using Serverless.Cli.Parsing;
using Serverless.Cli.Shell;

namespace Serverless.Cli.Commands;

/// <summary><c>serverless completion SHELL</c>: a script that lets the shell ask the tool itself (its <c>[suggest]</c> directive) what may come next.</summary>
internal static class CompletionCommand
{
    private const string Bash = """
        # serverless: completion for bash
        _serverless() {
          local IFS=$'\n' line=${COMP_LINE#"${COMP_WORDS[0]}"}
          line=${line# }
          local position=$((COMP_POINT - ${#COMP_LINE} + ${#line}))
          COMPREPLY=($(compgen -W "$("${COMP_WORDS[0]}" "[suggest:$position]" "$line" 2>/dev/null)" -- "${COMP_WORDS[COMP_CWORD]}"))
        }
        complete -o default -F _serverless serverless
        """;

    private const string Zsh = """
        #compdef serverless
        # serverless: completion for zsh
        _serverless() {
          local line="${BUFFER#"${words[1]}"}"
          line="${line# }"
          local -a found=("${(@f)$("${words[1]}" "[suggest:$((CURSOR - ${#BUFFER} + ${#line}))]" "$line" 2>/dev/null)}")
          [[ -n "${found[1]}" ]] && compadd -a found || _files
        }
        compdef _serverless serverless
        """;

    private const string Fish = """
        # serverless: completion for fish
        function __serverless_complete
          set -l tool (commandline -opc)[1]
          set -l line (string replace -r '^\s*\S+\s*' '' -- (commandline -cp))
          $tool "[suggest:"(string length -- "$line")"]" "$line" 2>/dev/null
        end
        complete -c serverless -a '(__serverless_complete)'
        """;

    private static readonly Dictionary<string, string> Scripts = new(StringComparer.Ordinal) { ["bash"] = Bash, ["zsh"] = Zsh, ["fish"] = Fish };

    public static Command Create(Terminal terminal)
    {
        var shell = new Argument<string>("shell") { Description = "bash, zsh or fish." };
        shell.AcceptOnlyFromAmong([.. Scripts.Keys]);
        var command = new ToolCommand(
            "completion",
            "Print a script that completes serverless in a shell.",
            "source <(serverless completion bash)",
            "serverless completion zsh > \"${fpath[1]}/_serverless\"",
            "serverless completion fish > ~/.config/fish/completions/serverless.fish") { shell };
        command.SetAction(parsed =>
        {
            terminal.Output.Profile.Out.Writer.WriteLine(Scripts[parsed.GetValue(shell)!]);
            return ExitCode.Done;
        });
        return command;
    }
}

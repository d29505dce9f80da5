using System.Text;
using System.Text.RegularExpressions;

namespace Serverless.Documentation;

/// <summary>A command line that a page tells to type: a statement of a block that is marked <c>sh</c>, or code within text that begins with a program.</summary>
internal sealed partial record DocumentedCommand(string Page, int Line, string Text, bool IsInline)
{
    /// <summary>What text may name by two words and more, as nobody would write for anything else. In blocks every first word is a program.</summary>
    private static readonly string[] ProgramsInText =
    [
        "./serverless", "serverless", "make", "dotnet", "curl", "dapr", "daprd", "kubectl", "helm", "docker", "podman", "git", "mkdir", "ln", "cp", "source", "export", "redis-server", "redis-cli", "rabbitmq-server", "rabbitmqctl",
        "promtool", "npm", "pip", "apt-get", "brew", "bash", "python3",
    ];

    private static readonly string[] NotOurs = ["artifacts", "bin", "obj", ".git", ".data"];

    /// <summary>The programs that it starts, each with its arguments: what a shell takes for itself (pipes, variables before a command, comments) is not among them.</summary>
    public IReadOnlyList<IReadOnlyList<string>> Programs => [.. Simple(Text).Where(words => words.Count > 0)];

    /// <summary>Every page of the clone by its path, but the changelog, which tells of the past.</summary>
    public static IEnumerable<string> Pages(string root) => Directory.GetFiles(root, "*.md", SearchOption.AllDirectories).Select(page => Path.GetRelativePath(root, page))
        .Where(page => page != "CHANGELOG.md" && !page.Split('/').Intersect(NotOurs).Any()).Order(StringComparer.Ordinal);

    /// <summary>Languages of a page's blocks, with the line.</summary>
    public static IEnumerable<(int Line, string Language)> Blocks(string root, string page)
    {
        var isOpen = false;
        foreach (var (index, line) in File.ReadAllLines(Path.Combine(root, page)).Index().Where(line => line.Item.TrimStart().StartsWith("```", StringComparison.Ordinal)))
        {
            isOpen = !isOpen;
            if (isOpen) yield return (index + 1, line.Trim().Trim('`'));
        }
    }

    /// <summary>Those of a page in its order; code within text once, however often the page says it.</summary>
    public static IReadOnlyList<DocumentedCommand> Of(string root, string page)
    {
        var commands = new List<DocumentedCommand>();
        string? block = null;
        var statement = new StringBuilder();
        foreach (var (index, line) in File.ReadAllLines(Path.Combine(root, page)).Index())
        {
            if (line.TrimStart().StartsWith("```", StringComparison.Ordinal))
            {
                block = block is null ? line.Trim().Trim('`') : null;
            }
            else if (block is "sh")
            {
                statement.Append(statement.Length > 0 ? "\n" : "").Append(line);
                if (IsOpen(statement.ToString())) continue;
                if (!string.IsNullOrWhiteSpace(statement.ToString())) commands.Add(new DocumentedCommand(page, index + 1, statement.ToString().Trim(), IsInline: false));
                statement.Clear();
            }
            else if (block is null)
            {
                foreach (var code in Code().Matches(line.Replace("``", "", StringComparison.Ordinal)).Select(match => match.Groups[1].Value).Where(IsCommand))
                {
                    if (!commands.Exists(one => one.IsInline && one.Text == code)) commands.Add(new DocumentedCommand(page, index + 1, code, IsInline: true));
                }
            }
        }

        return commands;
    }

    public override string ToString() => $"{Page}:{Line}: {Text}";

    private static bool IsCommand(string code) => Simple(code) is [[var program, _, ..], ..] && ProgramsInText.Contains(program, StringComparer.Ordinal);

    /// <summary>Whether a statement goes on in the next line.</summary>
    private static bool IsOpen(string text)
    {
        var (quote, before) = ('\0', ' ');
        foreach (var c in text)
        {
            if (quote == '\0' && c == '#' && (before is ' ' or '\n')) return false;
            before = c;
            if (quote != '\0') quote = c == quote ? '\0' : quote;
            else if (c is '\'' or '"') quote = c;
        }

        return quote != '\0' || text.EndsWith('\\');
    }

    private static List<List<string>> Simple(string text)
    {
        List<List<string>> commands = [[]];
        foreach (var word in Word().Matches(text).Select(match => match.Value))
        {
            if (word.StartsWith('#')) break;
            if (word is "&&" or "||" or "|" or ";" or "&") commands.Add([]);
            else if (word == "\\" || (commands[^1].Count == 0 && Assignment().IsMatch(word))) continue;
            else commands[^1].Add(Quotes().Replace(word, "$1$2"));
        }

        return commands;
    }

    [GeneratedRegex("`([^`]+)`", RegexOptions.None, 1000)]
    private static partial Regex Code();

    [GeneratedRegex("""(?:[^\s"'&|;]|"[^"]*"|'[^']*')+|&&|\|\||[|;&]""", RegexOptions.None, 1000)]
    private static partial Regex Word();

    [GeneratedRegex(@"^[A-Za-z_]\w*=", RegexOptions.None, 1000)]
    private static partial Regex Assignment();

    [GeneratedRegex("""\A"([^"]*)"\z|\A'([^']*)'\z""", RegexOptions.None, 1000)]
    private static partial Regex Quotes();
}

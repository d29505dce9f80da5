using System.Net;
using System.Text;
using System.Text.RegularExpressions;
using Shouldly;

namespace Serverless.Tests.Cli;

/// <summary>What each command shows, as files beside this one: its help, its happy path and its faults, on terminals of 80 and of 160 columns and into a pipe. SERVERLESS_GOLDEN=write writes them anew.</summary>
public sealed partial class GoldenTests : IDisposable
{
    private const string Model = """
        apiVersion: llmaz.io/v1alpha1
        kind: OpenModel
        metadata: {name: tiny}
        spec:
          familyName: simulated
          source: {uri: simulated://tiny}
          inferenceConfig: {flavors: [{name: cpu, params: {loadSeconds: "0"}}]}
        ---
        apiVersion: inference.llmaz.io/v1alpha1
        kind: Playground
        metadata: {name: tiny}
        spec:
          modelClaim: {modelName: tiny}
          backendRuntimeConfig: {backendName: simulated}
        """;

    private const string Refused = "You didn't provide an API key.";

    private static readonly string Folder = Path.Combine(Repository.Root, "tests", "Serverless.Tests", "Cli", "Golden");

    private readonly DirectoryInfo _work = Directory.CreateTempSubdirectory("serverless-golden-");

    /// <summary>Of each command: the lines that are tried.</summary>
    private static readonly Dictionary<string, Trial[]> Trials = new(StringComparer.Ordinal)
    {
        ["serverless"] = [new("--help"), new(""), new("pols"), new("--verbose"), new("dead-letters lsit")],
        ["up"] =
        [
            new("up --help"),
            new("up --port 0 --manifests MODELS --data DATA") { EndsWhenServing = true },
            new("up --port 0 --keda-port 0 --host 0.0.0.0 --keys KEYS --manifests MODELS --data DATA") { EndsWhenServing = true },
            new("up --port 99999"),
            new("up --cooldown 0s"),
            new("up --host 0.0.0.0 --manifests MODELS"),
            new("up --host example.com"),
            new("up --keys /nope --manifests MODELS --data DATA"),
            new("up --data /proc/nope --manifests MODELS"),
            new("up --manifests /nope"),
            new("up --model ftp://here"),
            new("up --model hf://org/name --manifests MODELS"),
            new("up --prot 8080"),
        ],
        ["run"] = [new("run --help"), new("run hello --manifests MODELS --max-tokens 3"), new("run"), new("run hello --model tinny --manifests MODELS"), new("run hello --max-tokens 0")],
        ["models"] =
        [
            new("models --help"),
            new("models pull --help"),
            new("models list --cache DATA"),
            new("models verify --cache DATA"),
            new("models rm hf://org/name/model.gguf --cache DATA"),
            new("models pull ftp://here --cache DATA"),
        ],
        ["classes"] = [new("classes --help"), new("classes"), new("classes -o json"), new("classes --output yaml")],
        ["recipes"] =
        [
            new("recipes --help"),
            new("recipes list --help"), new("recipes list"),
            new("recipes show --help"), new("recipes show tgi"), new("recipes show vlm"),
            new("recipes render --help"), new("recipes render --manifests MODELS"), new("recipes render --manifests MODELS -o json"), new("recipes render --manifests MODELS --pool nope"), new("recipes render --manifests /nope"),
        ],
        ["chat"] =
        [
            new("chat --help"),
            new("chat --model tiny") { Input = "What is the opposite of hot?\n/bye\n" },
            new("chat --model nope"),
            new("chat") { Gateway = () => CannedGateway.Unreachable },
            new("chat --temperature 9"),
        ],
        ["pools"] =
        [
            new("pools --help"),
            new("pools"),
            new("pools --output json"),
            new("pools") { Gateway = () => CannedGateway.Unreachable },
            new("pools") { Gateway = () => Answers.Refusing(HttpStatusCode.Unauthorized, Refused, "GET /admin/pools") },
            new("pools --output yaml"),
            new("pools --url ftp://here"),
        ],
        ["explain"] =
        [
            new("explain --help"),
            new("explain llama-3-8b"),
            new("explain llama-3-8b-a100 --last 1 --inputs"),
            new("explain tiny -o json"),
            new("explain lama-3-8b"),
            new("explain --last 0"),
            new("explain") { Gateway = () => Answers.Refusing(HttpStatusCode.Forbidden, "/admin/pools is for operators.", "GET /admin/pools") },
        ],
        ["dead-letters"] =
        [
            new("dead-letters --help"),
            new("dead-letters list --help"), new("dead-letters list"), new("dead-letters list -o json"), new("dead-letters list --limit x"),
            new("dead-letters show --help"), new("dead-letters show chatcmpl-1"), new("dead-letters show"),
            new("dead-letters redrive --help"), new("dead-letters redrive chatcmpl-1"), new("dead-letters redrive") ,
            new("dead-letters remove --help"), new("dead-letters remove chatcmpl-1"), new("dead-letters remove chatcmpl-9") { Gateway = () => Answers.Refusing(HttpStatusCode.NotFound, "There is no dead letter 'chatcmpl-9'.", "DELETE /admin/dead-letters/chatcmpl-9") },
        ],
        ["batch"] =
        [
            new("batch --help"),
            new("batch submit --help"), new("batch submit EMPTY"), new("batch submit EMPTY -o json"), new("batch submit /nope"), new("batch submit"),
            new("batch list --help"), new("batch list"), new("batch list -o json"), new("batch list --limit 0"),
            new("batch show --help"), new("batch show batch_1"), new("batch show batch_3"), new("batch show batch_3 --wait"), new("batch show batch_9") { Gateway = () => Answers.Refusing(HttpStatusCode.NotFound, "No batch found with id 'batch_9'.", "GET /v1/batches/batch_9") },
            new("batch cancel --help"), new("batch cancel batch_2"),
            new("batch results --help"), new("batch results batch_1"), new("batch results batch_1 --errors"), new("batch results batch_2"),
        ],
        ["events"] =
        [
            new("events --help"),
            new("events tail --help"), new("events tail --limit 4"), new("events tail --limit 4 -o json"), new("events tail --topic serverless.results --limit 1"), new("events tail --limit 0"),
            new("events tail") { Gateway = () => CannedGateway.Unreachable },
            new("events tail") { Gateway = () => Answers.Refusing(HttpStatusCode.Forbidden, "/admin/events is for operators.", "GET /admin/events") },
            new("events send --help"), new("events send EVENT"), new("events send EVENT --wait"), new("events send EVENT --wait -o json"), new("events send"),
            new("events send - --id order-2 --topic orders") { Input = """{"endpoint": "/v1/completions", "body": {"model": "nope", "prompt": "x"}}""" },
            new("events send - --id order-2 --wait --topic failing") { Input = "{}" },
            new("events send EMPTY"), new("events send -") { Input = "[1]" }, new("events send /nope"),
        ],
        ["keys"] =
        [
            new("keys create --help"),
            new("keys create --org acme --team research --admin"),
            new("keys create --org acme --team research --file DATA/new/keys"),
            new("keys create --org acme"),
            new("keys create --org ac/me --team research"),
            new("keys create --org acme --team research --lane fast"),
            new("keys create --org acme --team research --file /proc/nope"),
        ],
        ["simulate"] =
        [
            new("simulate --help"),
            new("simulate"),
            new("simulate --policy planner --output json"),
            new("simulate --trace /nope"),
            new("simulate --trace EMPTY"),
            new("simulate --cold-start -5"),
            new("simulate --policy best"),
        ],
        ["topology"] = [new("topology --help"), new("topology --manifests MODELS"), new("topology --manifests MODELS -o json"), new("topology --broker http://here"), new("topology --release new"), new("topology --manifests /nope")],
        ["completion"] = [new("completion --help"), new("completion bash"), new("completion zsh"), new("completion fish"), new("completion"), new("completion powershell"), new("[suggest:10] \"pools --out\"")],
    };

    public static TheoryData<string, string> Files => [.. Trials.Keys.SelectMany(command => new[] { "80", "160", "pipe" }.Select(kind => (command, kind)))];

    public void Dispose() => _work.Delete(recursive: true);

    [Theory]
    [MemberData(nameof(Files))]
    public async Task A_command_shows_what_its_file_says(string command, string kind)
    {
        Prepare();
        var text = new StringBuilder();
        foreach (var trial in Trials[command]) await RunAsync(trial, kind, text);

        var path = Path.Combine(Folder, $"{command}.{kind}.txt");
        if (Environment.GetEnvironmentVariable("SERVERLESS_GOLDEN") == "write")
        {
            Directory.CreateDirectory(Folder);
            await File.WriteAllTextAsync(path, text.ToString(), TestContext.Current.CancellationToken);
        }

        text.ToString().ShouldBe(await File.ReadAllTextAsync(path, TestContext.Current.CancellationToken), $"SERVERLESS_GOLDEN=write writes {path} anew");
    }

    [Fact]
    public void Each_file_is_of_a_command()
    {
        Directory.GetFiles(Folder).Select(Path.GetFileName).ShouldBe(Files.Select(file => $"{file.Data.Item1}.{file.Data.Item2}.txt"), ignoreOrder: true);
    }

    [Fact]
    public void No_help_is_wider_than_100_columns()
    {
        foreach (var file in Directory.GetFiles(Folder, "*.txt"))
        {
            var inHelp = false;
            foreach (var line in File.ReadLines(file))
            {
                if (line.StartsWith("$ ", StringComparison.Ordinal)) inHelp = line.EndsWith("--help", StringComparison.Ordinal);
                else if (inHelp) line.Length.ShouldBeLessThanOrEqualTo(file.EndsWith(".80.txt", StringComparison.Ordinal) ? 80 : 100, $"{file}: {line}");
            }
        }
    }

    private void Prepare()
    {
        Directory.CreateDirectory(Place("MODELS"));
        File.WriteAllText(Path.Combine(Place("MODELS"), "tiny.yaml"), Model);
        File.WriteAllText(Place("EMPTY"), "TIMESTAMP,ContextTokens,GeneratedTokens\n");
        File.WriteAllText(Place("EVENT"), Answers.Asked);
        File.WriteAllText(Place("KEYS"), $"{Serverless.Tenancy.ApiKeyTable.Create("acme", "research", admin: true).Line}\n");
    }

    private async Task RunAsync(Trial trial, string kind, StringBuilder text)
    {
        using var interrupted = CancellationTokenSource.CreateLinkedTokenSource(TestContext.Current.CancellationToken);
        // `up` and `run` bring a gateway of their own.
        var isOwn = trial.Line.StartsWith("up", StringComparison.Ordinal) || trial.Line.StartsWith("run", StringComparison.Ordinal);
        var terminal = new TestTerminal(kind != "pipe", kind == "160" ? 160 : 80, isOwn ? null : trial.Gateway(), trial.Input);
        var running = terminal.RunUntilAsync([.. Words().Matches(trial.Line).Select(word => Placed(word.Value.Trim('"')))], trial.EndsWhenServing ? terminal.UntilWritten("curl", interrupted) : interrupted.Token);

        var code = await running.WithinLimitAsync();

        text.Append("$ serverless ").Append(trial.Line).Append('\n').Append(Scrub(terminal.Output));
        foreach (var line in Scrub(terminal.Error).Split('\n', StringSplitOptions.RemoveEmptyEntries)) text.Append("! ").Append(line).Append('\n');
        text.Append("[exit ").Append(code).Append("]\n\n");
    }

    private string Place(string name) => Path.Combine(_work.FullName, name);

    private string Placed(string word) => PlaceName().Replace(word, match => Place(match.Value));

    /// <summary>What is another each time, and escapes that can be seen.</summary>
    private string Scrub(string text) => Secrets().Replace(Commit().Replace(Ports().Replace(text.Replace($"{_work.FullName}/", "", StringComparison.Ordinal), "127.0.0.1:PORT"), "0.1.0 (COMMIT)"), match => $"{match.Groups[1].Value}RANDOM").Replace('\e', '␛');

    [GeneratedRegex("\"[^\"]*\"|\\S+", RegexOptions.None, 1000)]
    private static partial Regex Words();

    [GeneratedRegex("^(MODELS|DATA|KEYS|EMPTY|EVENT)", RegexOptions.None, 1000)]
    private static partial Regex PlaceName();

    [GeneratedRegex(@"127\.0\.0\.1:(?!8080\b|5672\b)\d+", RegexOptions.None, 1000)]
    private static partial Regex Ports();

    [GeneratedRegex(@"0\.1\.0 \(\w+\)", RegexOptions.None, 1000)]
    private static partial Regex Commit();

    [GeneratedRegex(@"(sk-|key-|file:    )[0-9a-f]{12,}", RegexOptions.None, 1000)]
    private static partial Regex Secrets();

    private sealed record Trial(string Line)
    {
        public Func<HttpMessageHandler> Gateway { get; init; } = Answers.Gateway;

        public string Input { get; init; } = "";

        /// <summary>Whether it serves until it is told to stop.</summary>
        public bool EndsWhenServing { get; init; }
    }
}

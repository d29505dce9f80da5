using System.Diagnostics;
using System.Globalization;
using System.Text;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using Serverless.Documentation;
using Serverless.EndToEndTests.Distributed;
using Serverless.EndToEndTests.Parts;
using Shouldly;

namespace Serverless.EndToEndTests.Documentation;

/// <summary>
/// A page as somebody types it, line after line, in a folder like a clone: what one line starts the next ones use. The tool is the one built beside these tests, its models are the shipped one
/// (answers are kept short) and one whose requests become dead letters. Everything runs in bash as it is written, but for <see cref="PageRewriting"/>.
/// </summary>
internal sealed class PageSession : IAsyncDisposable
{
    private static readonly string Configuration = new DirectoryInfo(AppContext.BaseDirectory).Name;
    private static readonly string Tool = Path.Combine(Checkout.Root, "artifacts/bin/Serverless.Cli", Configuration, "Serverless.Cli.dll");

    private readonly DaprRun _run;
    private readonly string _folder = Checkout.CopyComponents("127.0.0.1:6379", "amqp://guest:guest@127.0.0.1:5672");
    private readonly HttpClient _http = new(new SocketsHttpHandler { UseProxy = false }) { Timeout = TestTimeouts.Default };
    private readonly PageRewriting _rewriting;
    private readonly List<PartProcess> _started = [];
    private readonly Dictionary<string, string> _environment;
    private bool _isServed;

    public PageSession(DaprRun run)
    {
        _run = run;
        _rewriting = new PageRewriting(_folder);
        _environment = new Dictionary<string, string>(StringComparer.Ordinal)
        {
            ["HOME"] = _folder,
            ["PATH"] = $"{_folder}/installed:{Environment.GetEnvironmentVariable("PATH")}",
            ["NO_COLOR"] = "1",
            ["no_proxy"] = "127.0.0.1",
        };
        Directory.CreateDirectory(Path.Combine(_folder, ".local", "bin"));
        Directory.CreateSymbolicLink(Path.Combine(_folder, "artifacts"), Path.Combine(Checkout.Root, "artifacts"));
        WriteScript(Path.Combine(_folder, "serverless"), $"exec dotnet '{Tool}' \"$@\"");
        Directory.CreateDirectory(Path.Combine(_folder, "installed"));
        WriteScript(Path.Combine(_folder, "installed", "serverless"), $"exec dotnet '{Tool}' \"$@\"");
        WriteModels();
        File.WriteAllText(Path.Combine(_folder, "trace.jsonl"), """{"timestamp": 0, "input_length": 200, "output_length": 20, "hash_ids": []}""" + "\n" + """{"timestamp": 4000, "input_length": 100, "output_length": 10, "hash_ids": []}""" + "\n");
    }

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    /// <summary>Why lines were left out: a foreign part is not here.</summary>
    public string? Absent { get; private set; }

    /// <summary>Runs a line. Says how, for the test's output.</summary>
    public async Task<string> RunAsync(DocumentedCommand command)
    {
        foreach (var words in command.Programs)
        {
            if (ExemptCommand.Of(words) is not { } exempt) continue;

            Should.NotThrow(() => exempt.Check(words), command.ToString());
            return $"not run: {exempt.Reason}";
        }

        switch (command.Programs[^1])
        {
            case ["./serverless" or "serverless", "up", ..]:
                return await UpAsync(command.Text, command.Text.Contains("--keys", StringComparison.Ordinal));
            case ["./serverless" or "serverless", ..]:
                return await ToolAsync(command.Text);
            case ["redis-server", ..]:
                return await RedisAsync(command.Text);
            case ["rabbitmq-server", ..] or ["dapr", "run", "-f", "."]:
                return await DistributedAsync();
            case ["daprd", ..]:
                return await SidecarAsync(command.Text);
            case ["dotnet", var program, ..] when program.StartsWith("artifacts/bin/Serverless.", StringComparison.Ordinal):
                return await AppAsync(command.Text);
            case ["curl", ..]:
                if (Absent is not null) return $"left out: {Absent}";
                if (!_isServed) await UpAsync("./serverless up", isKeyed: false);
                return await ShellAsync(_rewriting.Apply(command.Text).Replace("curl ", "curl -sS --fail-with-body --retry-connrefused --max-time 60 ", StringComparison.Ordinal));
            case ["mkdir" or "ln" or "source", ..]:
                return await ShellAsync(_rewriting.Apply(command.Text));
            default:
                throw new InvalidOperationException(
                    $"{command} begins with a program that this test does not know. Let PageSession.RunAsync run it, or, if no test can, name it in ExemptCommand.All with the reason and a look at what it names.");
        }
    }

    public async ValueTask DisposeAsync()
    {
        _http.Dispose();
        foreach (var process in Enumerable.Reverse(_started)) await process.DisposeAsync();
        Directory.Delete(_folder, recursive: true);
    }

    /// <summary>The first one serves the page from there on; another, or one with keys, is only seen to serve and to end.</summary>
    private async Task<string> UpAsync(string line, bool isKeyed)
    {
        var serves = !_isServed && !isKeyed;
        if (isKeyed && !File.Exists(Path.Combine(_folder, "keys"))) await ShellAsync($"serverless keys create --org acme --team research --file {_folder}/keys");
        var port = serves ? _rewriting.Port("8080") : PartProcess.FreePort().ToString(CultureInfo.InvariantCulture);
        var up = Start($"exec {_rewriting.Apply(line)} --port {port} --data {_folder}/data-{port}");
        var server = new Uri($"http://127.0.0.1:{port}");
        await ReadyAsync(up, server);
        if (serves)
        {
            (_isServed, _environment["SERVERLESS_URL"]) = (true, server.ToString());
            return "serves the page";
        }

        await up.SignalAsync("TERM");
        await up.ExitedAsync(Token).WithinLimitAsync();
        up.Output.ShouldContain("Stopped.");
        return "served, and stopped when told";
    }

    private async Task<string> ToolAsync(string line)
    {
        if (line.Contains("--declare", StringComparison.Ordinal))
        {
            await DistributedAsync();
            if (Absent is not null) return $"left out: {Absent}";
            _rewriting.SetPort("5672", _run.Broker.Port);
            if (!line.Contains("--broker", StringComparison.Ordinal)) line += $" --broker {_run.Broker}";
        }

        if (!_isServed && NeedsServer(line)) await UpAsync("./serverless up", isKeyed: false);
        if (line.Contains("dead-letters ", StringComparison.Ordinal) && !line.Contains("list", StringComparison.Ordinal)) await GiveUpAsync();
        return await ShellAsync(_rewriting.Apply(line));
    }

    private static bool NeedsServer(string line) => Regex.IsMatch(line, "serverless (?:chat|pools|explain|dead-letters)", RegexOptions.None, TimeSpan.FromSeconds(1));

    /// <summary>A request that ends as a dead letter: each attempt takes its replica along.</summary>
    private async Task GiveUpAsync()
    {
        var server = new Uri(_environment["SERVERLESS_URL"]);
        using var body = new StringContent("""{"model": "to-crash", "prompt": "x", "max_tokens": 4}""", Encoding.UTF8, "application/json");
        using var answer = await _http.PostAsync(new Uri(server, "/v1/completions"), body, Token);
        var letters = JsonNode.Parse(await _http.GetStringAsync(new Uri(server, "/admin/dead-letters"), Token))!["data"]!.AsArray();
        _rewriting.DeadLetter = letters[^1]!["id"]!.GetValue<string>();
    }

    private async Task<string> RedisAsync(string line)
    {
        if (RedisServer.Absent is { } absent) return $"left out: {Absent = absent}";
        var port = PartProcess.FreePort();
        var redis = Start(line.TrimEnd('&', ' ').Replace("redis-server ", $"exec redis-server --port {port} --bind 127.0.0.1 ", StringComparison.Ordinal));
        await redis.ReadyAsync(_ => Task.FromResult(redis.Output.Contains("Ready to accept connections", StringComparison.Ordinal)), Token);
        return "ran; the page goes on with a Redis of the test";
    }

    /// <summary>What <c>rabbitmq-server</c> and <c>dapr run -f .</c> start: the programs themselves, by the same <c>dapr.yaml</c>, on free ports.</summary>
    private async Task<string> DistributedAsync()
    {
        Absent = DaprApps.Absent;
        if (Absent is not null) return $"left out: {Absent}";

        await _run.StartAsync();
        foreach (var named in (string[])["8080", "3500", "3510"]) _rewriting.SetPort(named, _run.Apps.File.Port(named));
        _environment["Redis__Configuration"] = _run.Store;
        _environment["RabbitMq__Url"] = _run.Broker.ToString();
        _isServed = true;
        return "started by the test: its node, its ports, the apps of dapr.yaml";
    }

    private async Task<string> SidecarAsync(string line)
    {
        if (Absent is not null) return $"left out: {Absent}";
        var link = Path.Combine(_folder, "installed", "daprd");
        if (!File.Exists(link)) File.CreateSymbolicLink(link, await Rig.PathAsync("daprd", "daprd"));
        File.Copy(Path.Combine(_run.Apps.Folder, "components", "laptop", "secrets.json"), Path.Combine(_folder, "components", "laptop", "secrets.json"), overwrite: true);
        _rewriting.ForgetPorts();
        Start($"exec {_rewriting.Apply(line)} --dapr-internal-grpc-port {PartProcess.FreePort()}");
        return "runs beside its app";
    }

    private async Task<string> AppAsync(string line)
    {
        if (Absent is not null) return $"left out: {Absent}";
        line = _rewriting.Apply(line).Replace("/release/", $"/{Configuration}/", StringComparison.Ordinal);
        var app = Start(line.Replace("dotnet ", "exec dotnet ", StringComparison.Ordinal));
        await ReadyAsync(app, new Uri(Regex.Match(line, @"Distributed__Http=(\S+)", RegexOptions.None, TimeSpan.FromSeconds(1)).Groups[1].Value));
        return "is ready";
    }

    private Task ReadyAsync(PartProcess process, Uri server) => process.ReadyAsync(async token => (await _http.GetAsync(new Uri(server, "/readyz"), token)).IsSuccessStatusCode, Token);

    /// <summary>What goes on beside the next lines, until the page is done.</summary>
    private PartProcess Start(string line)
    {
        var process = PartProcess.Start(line, "bash", ["-c", line], _environment, _folder);
        _started.Add(process);
        return process;
    }

    /// <summary>What ends: with 0, or the page is wrong.</summary>
    private async Task<string> ShellAsync(string line)
    {
        var start = new ProcessStartInfo("bash", ["-c", line]) { UseShellExecute = false, RedirectStandardInput = true, RedirectStandardOutput = true, RedirectStandardError = true, WorkingDirectory = _folder };
        foreach (var (name, value) in _environment) start.Environment[name] = value;
        using var process = Process.Start(start).ShouldNotBeNull();
        var reading = Task.WhenAll(process.StandardOutput.ReadToEndAsync(Token), process.StandardError.ReadToEndAsync(Token));
        await process.StandardInput.WriteAsync("Say hello.\n".AsMemory(), Token);
        process.StandardInput.Close();
        try
        {
            await process.WaitForExitAsync(Token).WithinLimitAsync();
        }
        finally
        {
            if (!process.HasExited) process.Kill(entireProcessTree: true);
        }

        var output = string.Concat(await reading);
        process.ExitCode.ShouldBe(0, $"{line}\n{output}\n{string.Join('\n', _started.Select(one => one.Output))}");
        return $"ran: {line.ReplaceLineEndings(" ")}";
    }

    private void WriteModels()
    {
        var shipped = Path.Combine(Checkout.Root, "models", PageRewriting.Model);
        var models = Path.Combine(_folder, "models");
        Directory.CreateDirectory(models);
        File.Copy(Path.Combine(shipped, "playground.yaml"), Path.Combine(models, "playground.yaml"));
        File.WriteAllText(Path.Combine(models, "openmodel.yaml"), File.ReadAllText(Path.Combine(shipped, "openmodel.yaml"))
            .Replace("host://./", $"host://{shipped}/", StringComparison.Ordinal).Replace("spec:\n", "spec:\n  contextTokens: 96\n", StringComparison.Ordinal));
        File.WriteAllText(Path.Combine(models, "to-crash.yaml"), """
            apiVersion: llmaz.io/v1alpha1
            kind: OpenModel
            metadata: {name: to-crash}
            spec:
              familyName: simulated
              source: {uri: simulated://to-crash}
              inferenceConfig: {flavors: [{name: cpu, params: {crashEvery: "1"}}]}
            ---
            apiVersion: inference.llmaz.io/v1alpha1
            kind: Playground
            metadata: {name: to-crash}
            spec:
              modelClaim: {modelName: to-crash}
              elasticConfig: {minReplicas: 0, maxReplicas: 1}
              backendRuntimeConfig: {backendName: simulated}
            """);
    }

    private static void WriteScript(string path, string command)
    {
        File.WriteAllText(path, $"#!/usr/bin/env bash\n{command}\n");
        if (!OperatingSystem.IsWindows()) File.SetUnixFileMode(path, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
    }
}

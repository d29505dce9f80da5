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
/// A page as somebody types it, line after line: what one line starts the next ones use, until the page is done. Everything runs in bash as it is written, but for <see cref="PageRewriting"/>.
/// </summary>
internal sealed partial class PageSession : IAsyncDisposable
{
    private const string EventData = $$$"""{"endpoint": "/v1/completions", "body": {"model": "{{{PageRewriting.Model}}}", "max_tokens": 1, "prompt": "Hello"}}""";

    private readonly PageClone _clone;
    private readonly DaprRun _run;
    private readonly HttpClient _http = new(new SocketsHttpHandler { UseProxy = false }) { Timeout = TestTimeouts.Default };
    private readonly PageRewriting _rewriting;
    private readonly List<PartProcess> _started = [];
    private readonly Dictionary<string, string> _environment;
    private bool _isServed;

    public PageSession(PageClone clone, DaprRun run)
    {
        (_clone, _run) = (clone, run);
        _rewriting = new PageRewriting(clone.Folder);
        _environment = clone.Environment();
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
                return await UpAsync(command.Text);
            case ["./serverless" or "serverless", ..]:
                return await ToolAsync(command.Text);
            case ["redis-server", ..]:
                return await RedisAsync(command.Text);
            case ["rabbitmq-server", ..] or ["dapr", "run", "-f", "."]:
                return await DistributedAsync();
            case ["daprd", ..]:
                return await SidecarAsync(command.Text);
            case ["dotnet", var program, ..] when program.StartsWith("artifacts/bin/Serverless.Samples.", StringComparison.Ordinal):
                return Absent is not null ? $"left out: {Absent}" : await ShellAsync(command.Text.Replace("/release/", $"/{PageClone.Configuration}/", StringComparison.Ordinal));
            case ["dotnet", var program, ..] when program.StartsWith("artifacts/bin/Serverless.", StringComparison.Ordinal):
                return await AppAsync(command.Text);
            case ["curl", ..] or ["done"]: // a loop around it
                if (Absent is not null) return $"left out: {Absent}";
                if (!_isServed) await UpAsync("./serverless up");
                return await ShellAsync(_rewriting.Apply(command.Text).Replace("curl ", "curl -sS --fail-with-body --retry-connrefused --max-time 60 ", StringComparison.Ordinal));
            case ["mkdir" or "ln" or "source" or "printf", ..]:
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
    }

    /// <summary>The plain one serves this page and all that come; another is seen to serve and to end.</summary>
    private async Task<string> UpAsync(string line)
    {
        if (PlainUp().IsMatch(line))
        {
            var began = _clone.Up is null;
            if (_clone.Up is null) _clone.Serves(await ServeAsync(line, _rewriting.Port("8080")), new Uri($"http://127.0.0.1:{_rewriting.Port("8080")}"));
            _rewriting.SetPort("8080", _clone.Address!.Port);
            (_isServed, _environment["SERVERLESS_URL"]) = (true, _clone.Address.ToString());
            return began ? "serves the pages" : "serves already, by the same line";
        }

        if (line.EndsWith('&'))
        {
            if (Absent is not null) return $"left out: {Absent}";
            _started.Add(await ServeAsync("env " + line.TrimEnd('&', ' '), PartProcess.FreePort().ToString(CultureInfo.InvariantCulture)));
            return "serves beside the next lines";
        }

        if (line.Contains("--keys", StringComparison.Ordinal)) await ShellAsync($"serverless keys create --org acme --team research --file {_clone.Folder}/keys");
        var up = await ServeAsync(line, PartProcess.FreePort().ToString(CultureInfo.InvariantCulture));
        _started.Add(up);
        await up.SignalAsync("TERM");
        await up.ExitedAsync(Token).WithinLimitAsync();
        up.Output.ShouldContain("Stopped.");
        return "served, and stopped when told";
    }

    private async Task<PartProcess> ServeAsync(string line, string port)
    {
        var text = $"exec {_rewriting.Apply(line)} --port {port} --data {_clone.Folder}/data-{port}";
        var up = PartProcess.Start(text, "bash", ["-c", text], _environment, _clone.Folder);
        try
        {
            await ReadyAsync(up, new Uri($"http://127.0.0.1:{port}"));
            return up;
        }
        catch
        {
            await up.DisposeAsync();
            throw;
        }
    }

    private async Task<string> ToolAsync(string line)
    {
        if (line.Contains("--declare", StringComparison.Ordinal))
        {
            if ((Absent = DaprApps.Absent) is not null) return $"left out: {Absent}";
            await _run.StartAsync();
            _rewriting.SetPort("5672", _run.Broker.Port);
            if (!line.Contains("--broker", StringComparison.Ordinal)) line += " --broker amqp://guest:guest@127.0.0.1:5672/";
        }

        if (!_isServed && NeedsServer(line)) await UpAsync("./serverless up");
        if (line.Contains("dead-letters ", StringComparison.Ordinal) && !line.Contains("list", StringComparison.Ordinal)) await GiveUpAsync();
        if (BatchAlone().Match(line) is { Success: true } batch) await MakeBatchAsync(batch.Groups[1].Value);
        if (EventsAlone().IsMatch(line)) await File.WriteAllTextAsync(Path.Combine(_clone.Folder, "FILE"), EventData, Token);
        if (ModelAlone().IsMatch(line)) _rewriting.Source = await _clone.SourceAsync();
        line = _rewriting.Apply(line);
        return await ShellAsync(TailAlone().IsMatch(line) ? WithEvents(line) : line);
    }

    /// <summary>What watches sees what passes meanwhile: an event every second, until it has seen enough.</summary>
    private string WithEvents(string line) => $"{line} & while kill -0 $! 2>&-; do serverless events send {_clone.Folder}/FILE >&2; sleep 1; done; wait $!";

    [GeneratedRegex("serverless batch (submit|show|cancel|results)$", RegexOptions.None, 1000)]
    private static partial Regex BatchAlone();

    [GeneratedRegex("serverless events (?:tail|send)$", RegexOptions.None, 1000)]
    private static partial Regex EventsAlone();

    [GeneratedRegex("serverless models (?:pull|rm)$", RegexOptions.None, 1000)]
    private static partial Regex ModelAlone();

    [GeneratedRegex("serverless events tail ", RegexOptions.None, 1000)]
    private static partial Regex TailAlone();

    private static bool NeedsServer(string line) => Regex.IsMatch(line, "serverless (?:chat|pools|explain|dead-letters|batch (?:submit|list|show|cancel|results)|events)", RegexOptions.None, TimeSpan.FromSeconds(1));

    /// <summary>A request that ends as a dead letter: each attempt takes its replica along. It has ended for its client a moment before the letter is laid down.</summary>
    private async Task GiveUpAsync()
    {
        var server = new Uri(_environment["SERVERLESS_URL"]);
        using var body = new StringContent("""{"model": "to-crash", "prompt": "x", "max_tokens": 4}""", Encoding.UTF8, "application/json");
        using var answer = await _http.PostAsync(new Uri(server, "/v1/completions"), body, Token);
        (await answer.Content.ReadAsStringAsync(Token)).ShouldContain("request_poisoned");
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(Token);
        limit.CancelAfter(TestTimeouts.Default);
        using var timer = new PeriodicTimer(TimeSpan.FromMilliseconds(100), TimeProvider.System);
        do
        {
            var letters = JsonNode.Parse(await _http.GetStringAsync(new Uri(server, "/admin/dead-letters"), limit.Token))!["data"]!.AsArray();
            _rewriting.DeadLetter = letters.LastOrDefault()?["id"]!.GetValue<string>();
        }
        while (_rewriting.DeadLetter is null && await timer.WaitForNextTickAsync(limit.Token));
    }

    /// <summary>What a command of batches cannot do without: a file of requests, or a batch of it, which is at its end where its results are asked for.</summary>
    private async Task MakeBatchAsync(string command)
    {
        var file = Path.Combine(_clone.Folder, "FILE");
        var (lines, tokens) = command == "cancel" ? (200, 32) : (1, 1); // what is given up must not have ended before
        await File.WriteAllLinesAsync(
            file,
            Enumerable.Range(0, lines).Select(i => string.Create(
                CultureInfo.InvariantCulture,
                $$$"""{"custom_id": "{{{i}}}", "method": "POST", "url": "/v1/chat/completions", "body": {"model": "{{{PageRewriting.Model}}}", "max_tokens": {{{tokens}}}, "messages": [{"role": "user", "content": "Hello"}]}}""")),
            Token);
        if (command == "submit") return;

        var server = new Uri(_environment["SERVERLESS_URL"]);
        using var form = new MultipartFormDataContent { { new StringContent("batch"), "purpose" }, { new ByteArrayContent(await File.ReadAllBytesAsync(file, Token)), "file", "FILE" } };
        using var uploaded = await _http.PostAsync(new Uri(server, "/v1/files"), form, Token);
        var input = JsonNode.Parse(await uploaded.Content.ReadAsStringAsync(Token))!["id"]!.GetValue<string>();
        using var body = new StringContent($$"""{"input_file_id": "{{input}}", "endpoint": "/v1/chat/completions", "completion_window": "24h"}""", Encoding.UTF8, "application/json");
        using var created = await _http.PostAsync(new Uri(server, "/v1/batches"), body, Token);
        _rewriting.Batch = JsonNode.Parse(await created.Content.ReadAsStringAsync(Token))!["id"]!.GetValue<string>();
        if (command != "results") return;

        using var limit = CancellationTokenSource.CreateLinkedTokenSource(Token);
        limit.CancelAfter(TestTimeouts.Default);
        using var timer = new PeriodicTimer(TimeSpan.FromMilliseconds(100), TimeProvider.System);
        while (JsonNode.Parse(await _http.GetStringAsync(new Uri(server, "/v1/batches/" + _rewriting.Batch), limit.Token))!["output_file_id"] is null) await timer.WaitForNextTickAsync(limit.Token);
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
        _environment["RabbitMq__Url"] = _environment["RABBITMQ_URL"] = _run.Broker.ToString();
        (_isServed, _environment["SERVERLESS_URL"]) = (true, _run.Apps.Gateway.ToString());
        return "started by the test: its node, its ports, the apps of dapr.yaml";
    }

    private async Task<string> SidecarAsync(string line)
    {
        if (Absent is not null) return $"left out: {Absent}";
        var link = Path.Combine(_clone.Folder, "installed", "daprd");
        if (!File.Exists(link)) File.CreateSymbolicLink(link, await Rig.PathAsync("daprd", "daprd"));
        File.Copy(Path.Combine(_run.Apps.Folder, "components", "laptop", "secrets.json"), Path.Combine(_clone.Folder, "components", "laptop", "secrets.json"), overwrite: true);
        _rewriting.ForgetPorts();
        Start($"exec {_rewriting.Apply(line)} --dapr-internal-grpc-port {PartProcess.FreePort()}");
        return "runs beside its app";
    }

    private async Task<string> AppAsync(string line)
    {
        if (Absent is not null) return $"left out: {Absent}";
        line = _rewriting.Apply(line).Replace("/release/", $"/{PageClone.Configuration}/", StringComparison.Ordinal);
        var app = Start(line.Replace("dotnet ", "exec dotnet ", StringComparison.Ordinal));
        await ReadyAsync(app, new Uri(Regex.Match(line, @"Distributed__Http=(\S+)", RegexOptions.None, TimeSpan.FromSeconds(1)).Groups[1].Value));
        return "is ready";
    }

    private Task ReadyAsync(PartProcess process, Uri server) => process.ReadyAsync(async token => (await _http.GetAsync(new Uri(server, "/readyz"), token)).IsSuccessStatusCode, Token);

    /// <summary>What goes on beside the next lines, until the page is done.</summary>
    private PartProcess Start(string line)
    {
        var process = PartProcess.Start(line, "bash", ["-c", line], _environment, _clone.Folder);
        _started.Add(process);
        return process;
    }

    /// <summary>What ends: with 0, or the page is wrong.</summary>
    private async Task<string> ShellAsync(string line)
    {
        var start = new ProcessStartInfo("bash", ["-c", line]) { UseShellExecute = false, RedirectStandardInput = true, RedirectStandardOutput = true, RedirectStandardError = true, WorkingDirectory = _clone.Folder };
        foreach (var (name, value) in _environment) start.Environment[name] = value;
        using var process = Process.Start(start).ShouldNotBeNull();
        var reading = Task.WhenAll(process.StandardOutput.ReadToEndAsync(Token), process.StandardError.ReadToEndAsync(Token));
        try
        {
            await process.StandardInput.WriteAsync("Say hello.\n".AsMemory(), Token);
            process.StandardInput.Close();
        }
        catch (IOException)
        {
            // It has ended without asking.
        }

        try
        {
            await process.WaitForExitAsync(Token).WaitAsync(TestTimeouts.Start, TimeProvider.System, Token); // what it asks may have to come up first
        }
        catch (TimeoutException exception)
        {
            throw new TimeoutException($"'{line}' had not ended after {TestTimeouts.Start}. A line that goes on for ever belongs in the background, or needs what ends it: PageRewriting.", exception);
        }
        finally
        {
            if (!process.HasExited) process.Kill(entireProcessTree: true);
        }

        var output = string.Concat(await reading);
        process.ExitCode.ShouldBe(0, $"{line}\n{output}\n{string.Join('\n', _started.Select(one => one.Output))}");
        return $"ran: {line.ReplaceLineEndings(" ")}";
    }

    [GeneratedRegex(@"^(?:\./)?serverless up$", RegexOptions.None, 1000)]
    private static partial Regex PlainUp();
}

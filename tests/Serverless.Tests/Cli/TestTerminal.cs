using System.Text;
using Serverless.Catalog.Accelerators;
using Serverless.Cli.Commands;
using Serverless.Cli.Shell;
using Serverless.Hosting.Accelerators;
using Spectre.Console;

namespace Serverless.Tests.Cli;

/// <summary>What a command has around it, of a test: a terminal of a width, or a pipe; its own environment and clock, and a gateway of canned answers.</summary>
internal sealed class TestTerminal
{
    private readonly StringBuilder _output = new();
    private readonly StringBuilder _error = new();
    private (string Text, CancellationTokenSource Source)? _wanted;
    private readonly Dictionary<string, string> _variables = new(StringComparer.Ordinal);

    public TestTerminal(bool isTerminal, int width, HttpMessageHandler? gateway = null, string input = "", params (string Name, string Value)[] variables)
    {
        foreach (var (name, value) in variables) _variables[name] = value;
        var output = new WatchedWriter(this) { NewLine = "\n" };
        var error = new StringWriter(_error) { NewLine = "\n" };
        var isPlain = _variables.ContainsKey(Terminal.NoColorVariable);
        Terminal = new Terminal
        {
            Output = Open(output, isTerminal, width, isPlain),
            Progress = Open(error, isTerminal: false, width, isPlain), // a spinner turns by the wall clock
            Error = error,
            Input = new StringReader(input),
            IsInputTyped = false,
            Time = Clock,
            Variable = name => _variables.GetValueOrDefault(name),
            Accelerators = _ => Task.FromResult<IReadOnlyList<FoundAccelerator>>(
            [
                new FoundAccelerator(AcceleratorCatalog.Find("l4"), "NVIDIA L4", 2, 23_034),
                new FoundAccelerator(null, "Neuron", 1, null),
                new FoundAccelerator(AcceleratorCatalog.Find("cpu"), "CPU", 8, 32_000),
            ]),
            Connect = server => gateway ?? new SocketsHttpHandler { UseProxy = !server.IsLoopback },
        };
    }

    /// <summary>In a zone two hours ahead.</summary>
    public TestClock Clock { get; } = new(new DateTimeOffset(2026, 1, 1, 12, 30, 10, TimeSpan.Zero)) { Zone = TimeZoneInfo.CreateCustomTimeZone("test", TimeSpan.FromHours(2), "test", "test") };

    public Terminal Terminal { get; }

    public string Output => _output.ToString();

    public string Error => _error.ToString();

    public Task<int> RunAsync(params string[] args) => RunUntilAsync(args, TestContext.Current.CancellationToken);

    public Task<int> RunUntilAsync(string[] args, CancellationToken interrupted) => Tool.RunAsync(args, Terminal, interrupted);

    /// <summary>Cancelled once that was written.</summary>
    public CancellationToken UntilWritten(string text, CancellationTokenSource source)
    {
        _wanted = (text, source);
        return source.Token;
    }

    private static IAnsiConsole Open(StringWriter writer, bool isTerminal, int width, bool isPlain) => Terminal.Prepare(
        AnsiConsole.Create(new AnsiConsoleSettings
        {
            Out = new Out(writer, isTerminal, width),
            Ansi = isTerminal ? AnsiSupport.Yes : AnsiSupport.No,
            ColorSystem = isTerminal ? ColorSystemSupport.Standard : ColorSystemSupport.NoColors,
            Interactive = InteractionSupport.No,
            Enrichment = new ProfileEnrichment { UseDefaultEnrichers = false },
        }),
        isPlain);

    private sealed class WatchedWriter(TestTerminal terminal) : StringWriter(terminal._output)
    {
        public override void Write(string? value)
        {
            base.Write(value);
            if (terminal._wanted is not var (text, source) || value?.Contains(text, StringComparison.Ordinal) != true) return;

            terminal._wanted = null;
            source.CancelAfter(TimeSpan.Zero); // on another thread: the command that writes has not come to listening yet
        }
    }

    private sealed class Out(TextWriter writer, bool isTerminal, int width) : IAnsiConsoleOutput
    {
        public TextWriter Writer => writer;

        public bool IsTerminal => isTerminal;

        public int Width => width;

        public int Height => 24;

        public void SetEncoding(Encoding encoding)
        {
        }
    }
}

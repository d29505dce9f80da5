using Serverless.Hosting.Accelerators;
using Serverless.Hosting.Telemetry;
using Spectre.Console;

namespace Serverless.Cli.Shell;

/// <summary>
/// What a command has around it: where it writes and reads, the clock, the environment, the way to a gateway. Tests bring their own. What came over the wire goes out through
/// <see cref="Write"/>, <see cref="WriteTable(IReadOnlyList{string})"/>, <see cref="WriteAnswer"/> and <see cref="Fault"/>, which leave nothing in it that a terminal obeys.
/// </summary>
internal sealed record Terminal
{
    private const int Unwrapped = 10_000;

    /// <summary>https://no-color.org: set, and not empty.</summary>
    public const string NoColorVariable = "NO_COLOR";

    /// <summary>Standard output: what was asked for.</summary>
    public required IAnsiConsole Output { get; init; }

    /// <summary>Standard error as a console: what is shown meanwhile and goes away, so that a redirected answer is the answer alone.</summary>
    public required IAnsiConsole Progress { get; init; }

    /// <summary>Standard error: faults.</summary>
    public required TextWriter Error { get; init; }

    /// <summary>Standard input.</summary>
    public required TextReader Input { get; init; }

    /// <summary>Whether a person types the input.</summary>
    public bool IsInputTyped { get; init; }

    /// <summary>The clock; its zone is the one that times are shown in.</summary>
    public TimeProvider Time { get; init; } = TimeProvider.System;

    /// <summary>A variable of the environment; null if it is not set or empty.</summary>
    public required Func<string, string?> Variable { get; init; }

    /// <summary>How a gateway is reached: not through a proxy where it is on this machine.</summary>
    /// <remarks>A redirect is not followed: it would be without the key, and a POST could become a GET.</remarks>
    public Func<Uri, HttpMessageHandler> Connect { get; init; } = static server => new SocketsHttpHandler { UseProxy = !server.IsLoopback, AllowAutoRedirect = false };

    /// <summary>What this machine has to compute with.</summary>
    public Func<CancellationToken, Task<IReadOnlyList<FoundAccelerator>>> Accelerators { get; init; } = MachineAccelerators.Here.LookAsync;

    /// <summary>Whether whoever read standard output, as <c>head</c> does, has gone: what is written is written for nobody.</summary>
    public Func<bool> IsReaderGone { get; init; } = static () => false;

    /// <summary>Whether standard output is a terminal that lines can be drawn over on.</summary>
    public bool IsDrawnOver => Output.Profile.Out.IsTerminal && Output.Profile.Capabilities.Ansi;

    public static Terminal OfProcess()
    {
        static string? Variable(string name) => Environment.GetEnvironmentVariable(name) is { Length: > 0 } value ? value : null;

        var isPlain = Variable(NoColorVariable) is not null;
        return new Terminal
        {
            Output = Open(Console.Out, isPlain),
            Progress = Open(Console.Error, isPlain),
            Error = Console.Error,
            Input = Console.In,
            IsInputTyped = !Console.IsInputRedirected,
            Variable = Variable,
            IsReaderGone = StandardOutput.HasNoReader,
        };
    }

    /// <summary>The console of a writer. Lines in a file are not wrapped.</summary>
    public static IAnsiConsole Open(TextWriter writer, bool isPlain) => Prepare(AnsiConsole.Create(new AnsiConsoleSettings { Out = new AnsiConsoleOutput(writer) }), isPlain);

    public static IAnsiConsole Prepare(IAnsiConsole console, bool isPlain)
    {
        if (!console.Profile.Out.IsTerminal) console.Profile.Width = Unwrapped;
        if (isPlain) console.Pipeline.Attach(new PlainStyle());
        return console;
    }

    /// <summary>Writes what is composed in one go and unwrapped: no other line lands inside, and it can be copied.</summary>
    public void WriteWhole(Action<IAnsiConsole> compose)
    {
        using var text = new StringWriter();
        var capabilities = Output.Profile.Capabilities;
        var whole = AnsiConsole.Create(new AnsiConsoleSettings
        {
            Out = new AnsiConsoleOutput(text),
            Ansi = capabilities.Ansi ? AnsiSupport.Yes : AnsiSupport.No,
            ColorSystem = (ColorSystemSupport)capabilities.ColorSystem,
            Enrichment = new ProfileEnrichment { UseDefaultEnrichers = false },
        });
        whole.Profile.Width = Unwrapped;
        compose(Prepare(whole, Variable(NoColorVariable) is not null));
        Output.Profile.Out.Writer.Write(text.ToString());
        Output.Profile.Out.Writer.Flush();
    }

    /// <summary>Lines of which the first is the head.</summary>
    public void WriteTable(IReadOnlyList<string> lines) => WriteWhole(console => WriteTable(console, lines));

    /// <summary>The same, as a part of something whole.</summary>
    public static void WriteTable(IAnsiConsole console, IReadOnlyList<string> lines)
    {
        for (var line = 0; line < lines.Count; line++) console.WriteLine(PlainText.OneLine(lines[line]), line == 0 ? new Style(Color.Grey) : Style.Plain);
    }

    /// <summary>A line as it is: neither wrapped nor read as markup.</summary>
    public void Write(string line, Style? style = null) => WriteWhole(console => console.WriteLine(PlainText.OneLine(line), style ?? Style.Plain));

    /// <summary>An answer, or a piece of one: into a file as it came.</summary>
    public void WriteAnswer(string text)
    {
        var output = Output.Profile.Out;
        output.Writer.Write(output.IsTerminal ? PlainText.Answer(text) : text);
        output.Writer.Flush();
    }

    /// <summary>A sentence or several, on standard error.</summary>
    public void Fault(string sentences) => Error.WriteLine(PlainText.Lines(sentences));

    /// <summary>Ends a command that would go on for nobody.</summary>
    /// <exception cref="ReaderGoneException">The reader of standard output has gone.</exception>
    public void ThrowIfReaderIsGone()
    {
        if (IsReaderGone()) throw new ReaderGoneException();
    }

    /// <summary>A moment as people here read it: the time alone where it is of today.</summary>
    public string Local(DateTimeOffset at)
    {
        var (local, now) = (TimeZoneInfo.ConvertTime(at, Time.LocalTimeZone), Time.GetLocalNow());
        return local.ToString(local.Date == now.Date ? "HH:mm:ss" : "yyyy-MM-dd HH:mm:ss", System.Globalization.CultureInfo.InvariantCulture);
    }
}

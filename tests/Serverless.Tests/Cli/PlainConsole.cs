using Spectre.Console;

namespace Serverless.Tests.Cli;

/// <summary>A console of a given width, without colours.</summary>
internal static class PlainConsole
{
    /// <summary>What is written to it.</summary>
    public static string Read(int width, Action<IAnsiConsole> write)
    {
        using var text = new StringWriter();
        var console = AnsiConsole.Create(new AnsiConsoleSettings { Ansi = AnsiSupport.No, ColorSystem = ColorSystemSupport.NoColors, Out = new AnsiConsoleOutput(text) });
        console.Profile.Width = width;
        write(console);
        return text.ToString().ReplaceLineEndings("\n");
    }
}

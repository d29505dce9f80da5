using System.Text.Encodings.Web;
using System.Text.Json;
using Serverless.Hosting.Telemetry;

namespace Serverless.Cli.Shell;

/// <summary>What <c>--output json</c> prints: for programs, and as people can read it too.</summary>
internal static class JsonText
{
    private static readonly JsonSerializerOptions Indented = new(JsonSerializerDefaults.Web) { WriteIndented = true, NewLine = "\n", Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };
    private static readonly JsonSerializerOptions Line = new(JsonSerializerDefaults.Web) { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    public static void Write(Terminal terminal, object value) => terminal.Output.Profile.Out.Writer.WriteLine(PlainText.InJson(JsonSerializer.Serialize(value, Indented)));

    /// <summary>One line of a stream of them.</summary>
    public static void WriteLine(Terminal terminal, object value)
    {
        terminal.Output.Profile.Out.Writer.WriteLine(PlainText.InJson(JsonSerializer.Serialize(value, Line)));
        terminal.Output.Profile.Out.Writer.Flush();
    }
}

using System.Net.Sockets;
using System.Reflection;
using System.Text.RegularExpressions;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.Options;
using Serverless.Cli.Client;
using Serverless.Engines;
using Serverless.Hosting.Manifests;
using Serverless.Hosting.RabbitMq.Connection;

namespace Serverless.Cli.Shell;

/// <summary>Exceptions as sentences: what a person is told of one.</summary>
internal static partial class Faults
{
    public const string DebugVariable = "SERVERLESS_DEBUG";

    /// <summary>Each fault in a sentence or two, whatever the exception.</summary>
    /// <param name="exception">What was thrown.</param>
    /// <param name="settings">What is set, where that is known: faults of it are then told with the value.</param>
    public static IReadOnlyList<string> Sentences(Exception exception, IConfiguration? settings = null) => exception switch
    {
        ToolException or ModelPullException or ServingClientException or CatalogException or BrokerException => [exception.Message],
        OptionsValidationException faulty => [.. faulty.Failures.Select(failure => Setting(faulty.OptionsType, failure, settings))],
        AggregateException { InnerExceptions.Count: > 0 } several => [.. several.InnerExceptions.SelectMany(inner => Sentences(inner, settings)).Distinct(StringComparer.Ordinal)],
        InvalidDataException when exception.Message.Contains("configuration", StringComparison.Ordinal) => [ConfigurationFile(exception)],
        InvalidOperationException when ConversionFault().Match(exception.Message) is { Success: true } match => [Conversion(match, exception)],
        UnauthorizedAccessException or IOException or FormatException or SocketException => [Ended(exception.Message)],
        TargetInvocationException { InnerException: { } inner } => Sentences(inner, settings),
        _ => [$"{Ended(exception.Message)} This is a fault of serverless itself ({exception.GetType().Name}): {DebugVariable}=1 shows where, for a report."],
    };

    /// <summary>A fault of a bound option: under the key that it is set by, not under the class that holds it.</summary>
    private static string Setting(Type options, string failure, IConfiguration? settings)
    {
        if (options.GetField("Section", BindingFlags.Public | BindingFlags.Static)?.GetRawConstantValue() is not string section) return failure;

        var match = FieldFault().Match(failure);
        if (!match.Success) return failure;

        var key = $"{section}:{match.Groups["name"].Value}";
        var value = settings?[key] is { } set ? $" is '{set}'; it" : "";
        return $"{key}{value} {match.Groups["rest"].Value.TrimEnd('.')}. It comes from the environment ({Variable(key)}) or appsettings.json.";
    }

    private static string Conversion(Match match, Exception exception)
    {
        var key = match.Groups["key"].Value;
        var value = ConvertedValue().Match(exception.Message + " " + exception.InnerException?.Message) is { Success: true } found ? $" is '{found.Groups["value"].Value}', which" : "";
        return $"{key}{value} is no {TypeName(match.Groups["type"].Value)}. It comes from the environment ({Variable(key)}) or appsettings.json.";
    }

    private static string ConfigurationFile(Exception exception)
    {
        var cause = exception;
        while (cause.InnerException is { } inner) cause = inner;
        return $"{ConfigurationPath().Match(exception.Message) switch { { Success: true } path => path.Groups["path"].Value, _ => "appsettings.json" }} is no JSON: {Ended(cause.Message)} Mend it, or start in a folder without one.";
    }

    private static string Variable(string key) => key.Replace(":", "__", StringComparison.Ordinal);

    private static string TypeName(string type) => type switch
    {
        "System.Boolean" => "true or false",
        "System.Int32" or "System.Int64" => "whole number in range",
        "System.Double" => "number",
        "System.TimeSpan" => "duration (hh:mm:ss)",
        "System.Uri" => "address",
        _ => type,
    };

    private static string Ended(string message) => message.Length > 0 && char.IsPunctuation(message[^1]) ? message : $"{message}.";

    [GeneratedRegex(@"^(?<name>\w+): The field (?:\w+\.)?\w+ (?<rest>.*)$", RegexOptions.Singleline | RegexOptions.ExplicitCapture, 1000)]
    private static partial Regex FieldFault();

    [GeneratedRegex(@"onfiguration value .*at '(?<key>[^']+)' to type '(?<type>[^']+)'", RegexOptions.ExplicitCapture, 1000)]
    private static partial Regex ConversionFault();

    [GeneratedRegex(@"(?:value '(?<value>[^']*)' at|^(?<value>\S+) is not a valid value|string '(?<value>[^']*)' was not)", RegexOptions.ExplicitCapture, 1000)]
    private static partial Regex ConvertedValue();

    [GeneratedRegex(@"file '(?<path>[^']+)'", RegexOptions.ExplicitCapture, 1000)]
    private static partial Regex ConfigurationPath();
}

using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace Serverless.Hosting.Telemetry;

/// <summary>How a process tells what it does, in every shape.</summary>
public sealed class LogOptions
{
    public const string Section = "Logging";

    /// <summary>One of <see cref="Formats"/>: <c>text</c> for people, <c>json</c> for machines, a line each. Default: text.</summary>
    public string Format { get; set; } = "text";

    /// <summary>The lowest level that is told of our own parts: Trace, Debug, Information, Warning, Error, Critical or None. At Debug exceptions come with their traces. Default: Information.</summary>
    public string Level { get; set; } = nameof(Microsoft.Extensions.Logging.LogLevel.Information);

    /// <summary>Whether lines of text begin with the date too; JSON always does. Default: no.</summary>
    public bool Dates { get; set; }

    /// <summary>Levels of parts: by the word in their lines (<c>Logging:LogLevel:dispatch=Debug</c>), or by .NET's category or its beginning. Default: none.</summary>
    public IDictionary<string, string>? LogLevel { get; set; }

    /// <summary>The formats there are.</summary>
    internal static readonly string[] Formats = ["text", "json"];

    internal static bool TryParse(string? value, out LogLevel level) => Enum.TryParse(value, ignoreCase: true, out level) && Enum.IsDefined(level) && !char.IsAsciiDigit(value![0]);

    internal sealed class Validator : IValidateOptions<LogOptions>
    {
        private static readonly string Levels = string.Join(", ", Enum.GetNames<LogLevel>());

        public ValidateOptionsResult Validate(string? name, LogOptions options)
        {
            List<string> faults = [];
            if (!Formats.Contains(options.Format, StringComparer.OrdinalIgnoreCase)) faults.Add($"{Section}:{nameof(Format)} is '{options.Format}'; it takes {string.Join(" or ", Formats)}.");
            if (!TryParse(options.Level, out _)) faults.Add($"{Section}:{nameof(Level)} is '{options.Level}'; it takes one of {Levels}.");
            faults.AddRange((options.LogLevel ?? new Dictionary<string, string>(StringComparer.Ordinal)).Where(entry => !TryParse(entry.Value, out _))
                .Select(entry => $"{Section}:{nameof(LogLevel)}:{entry.Key} is '{entry.Value}'; it takes one of {Levels}."));
            return faults.Count == 0 ? ValidateOptionsResult.Success : ValidateOptionsResult.Fail(faults);
        }
    }
}

using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace Serverless.Hosting.Telemetry;

/// <summary>The log of a process, the same in every shape.</summary>
public static class LogServices
{
    /// <summary>
    /// Lines on the console as <see cref="LogOptions"/> say, in place of whatever was set up before. Of others' parts warnings are told; what stops the start is thrown and told once, so not
    /// by the host too. With <paramref name="quiet"/> standard output is somebody's answer: errors alone are told, unless a level was asked for, and on standard error.
    /// </summary>
    public static WebApplicationBuilder AddServerlessLogging(this WebApplicationBuilder builder, bool quiet = false)
    {
        ArgumentNullException.ThrowIfNull(builder);
        var section = builder.Configuration.GetSection(LogOptions.Section);
        builder.Services.TryAddSingleton(TimeProvider.System);
        builder.Services.AddCheckedOptions<LogOptions, LogOptions.Validator>(LogOptions.Section);
        builder.Services.AddOptions<LineFormatterOptions>().Configure<IOptionsMonitor<LogOptions>>((lines, log) =>
        {
            lines.Json = log.CurrentValue.Format.Equals("json", StringComparison.OrdinalIgnoreCase);
            lines.Dates = log.CurrentValue.Dates;
            lines.Colours = LineFormatterOptions.TerminalHasColours(quiet ? Console.IsErrorRedirected : Console.IsOutputRedirected, Environment.GetEnvironmentVariable);
        });

        builder.Logging.ClearProviders();
        builder.Logging.AddConsole(console =>
        {
            console.FormatterName = section["Console:FormatterName"] ?? LineFormatter.FormatterName;
            if (quiet) console.LogToStandardErrorThreshold = LogLevel.Trace;
        });
        builder.Logging.AddConsoleFormatter<LineFormatter, LineFormatterOptions>();
        builder.Logging.SetMinimumLevel(quiet ? LogLevel.Error : LogLevel.Warning);
        builder.Services.Configure<LoggerFilterOptions>(filter =>
        {
            // First, so that whatever the settings say of the same category counts.
            // A check that fails is what a probe is answered, an error of nobody's: each stop in good order has one. ProbeLog tells it.
            List<LoggerFilterRule> rules = [Rule("Microsoft.Extensions.Hosting.Internal.Host", LogLevel.None), Rule("Microsoft.Extensions.Diagnostics.HealthChecks", LogLevel.None)];
            if (Level(section, quiet) is { } own) rules.Add(Rule("Serverless", own));
            foreach (var (word, text) in section.GetSection(nameof(LogOptions.LogLevel)).AsEnumerable(makePathsRelative: true))
            {
                if (LogOptions.TryParse(text, out var level)) rules.AddRange(LogWords.Prefixes(word).Select(prefix => Rule(prefix, level)));
            }

            for (var i = 0; i < rules.Count; i++) filter.Rules.Insert(i, rules[i]);
        });
        return builder;
    }

    /// <summary>The level of our own parts: ours, .NET's default, or what is told unasked.</summary>
    private static LogLevel? Level(IConfigurationSection section, bool quiet)
    {
        if (LogOptions.TryParse(section[nameof(LogOptions.Level)], out var own) || LogOptions.TryParse(section["LogLevel:Default"], out own)) return own;
        return quiet ? null : LogLevel.Information;
    }

    private static LoggerFilterRule Rule(string prefix, LogLevel level) => new(null, prefix, level, null);
}

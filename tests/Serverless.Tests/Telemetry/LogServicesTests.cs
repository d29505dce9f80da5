using System.Reflection;
using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Console;
using Microsoft.Extensions.Options;
using Serverless.Hosting.Configuration;
using Serverless.Hosting.Distributed;
using Serverless.Hosting.Telemetry;
using Shouldly;

namespace Serverless.Tests.Telemetry;

public sealed class LogServicesTests
{
    private const string Dispatching = "Serverless.Gateway.Dispatching.DispatchObserver";
    private const string Redis = "Serverless.Hosting.Redis.Connection.RedisConnection";
    private const string Kestrel = "Microsoft.AspNetCore.Server.Kestrel";

    private static readonly Assembly[] Ours =
        [typeof(Serverless.Gateway.GatewayHost).Assembly, typeof(Serverless.Worker.WorkerHost).Assembly, typeof(Serverless.Scaler.ScalerHost).Assembly, typeof(LogServices).Assembly, typeof(Serverless.Cli.Embedded.EmbeddedOptions).Assembly];

    [Fact]
    public void Levels_are_set_for_all_of_ours_or_by_word_or_by_category()
    {
        Levels([]).ShouldBe((LogLevel.Information, LogLevel.Information, LogLevel.Warning));
        Levels(new() { ["Logging:Level"] = "debug" }).ShouldBe((LogLevel.Debug, LogLevel.Debug, LogLevel.Warning));
        Levels(new() { ["Logging:LogLevel:Default"] = "Error" }).ShouldBe((LogLevel.Error, LogLevel.Error, LogLevel.Error));
        Levels(new() { ["Logging:LogLevel:dispatch"] = "Trace" }).ShouldBe((LogLevel.Trace, LogLevel.Information, LogLevel.Warning));
        Levels(new() { ["Logging:LogLevel:Serverless.Hosting.Redis"] = "Error" }).ShouldBe((LogLevel.Information, LogLevel.Error, LogLevel.Warning));
        Levels([], quiet: true).ShouldBe((LogLevel.Error, LogLevel.Error, LogLevel.Error));
        Levels(new() { ["Logging:Level"] = "Debug" }, quiet: true).ShouldBe((LogLevel.Debug, LogLevel.Debug, LogLevel.Error));
    }

    [Fact]
    public void Where_standard_output_is_an_answers_every_line_goes_to_standard_error()
    {
        using var quiet = Build([], quiet: true);
        using var loud = Build([], quiet: false);

        Threshold(quiet).ShouldBe(LogLevel.Trace);
        Threshold(loud).ShouldBe(LogLevel.None);

        static LogLevel Threshold(WebApplication app) => app.Services.GetRequiredService<IOptionsMonitor<ConsoleLoggerOptions>>().CurrentValue.LogToStandardErrorThreshold;
    }

    [Fact]
    public void What_a_probe_is_answered_is_no_error_unless_it_is_asked_for()
    {
        const string Checks = "Microsoft.Extensions.Diagnostics.HealthChecks.DefaultHealthCheckService";
        using var app = Build(new() { ["Logging:Level"] = "Debug", ["Logging:LogLevel:process"] = "Debug" }, quiet: false);
        using var asked = Build(new() { ["Logging:LogLevel:Microsoft.Extensions.Diagnostics.HealthChecks"] = "Error" }, quiet: false);

        app.Services.GetRequiredService<ILoggerFactory>().CreateLogger(Checks).IsEnabled(LogLevel.Critical).ShouldBeFalse();
        asked.Services.GetRequiredService<ILoggerFactory>().CreateLogger(Checks).IsEnabled(LogLevel.Error).ShouldBeTrue();
    }

    [Fact]
    public void What_cannot_be_meant_is_refused_with_the_setting_and_what_it_takes()
    {
        var builder = ProcessBuilder.Create([]);
        builder.Configuration.AddInMemoryCollection(new Dictionary<string, string?>(StringComparer.Ordinal) { ["Logging:Format"] = "xml", ["Logging:Level"] = "3", ["Logging:LogLevel:dispatch"] = "Loud" });

        var faults = Should.Throw<OptionsValidationException>(() => builder.AddServerlessLogging().CheckOptions()).Failures.ToList();

        faults.ShouldBe(
        [
            "Logging:Format is 'xml'; it takes text or json.",
            "Logging:Level is '3'; it takes one of Trace, Debug, Information, Warning, Error, Critical, None.",
            "Logging:LogLevel:dispatch is 'Loud'; it takes one of Trace, Debug, Information, Warning, Error, Critical, None.",
        ]);
    }

    [Fact]
    public void Every_part_that_speaks_has_a_short_word()
    {
        var categories = Ours.SelectMany(assembly => assembly.GetTypes())
            .SelectMany(type => type.GetConstructors(BindingFlags.Instance | BindingFlags.Public | BindingFlags.NonPublic)).SelectMany(constructor => constructor.GetParameters())
            .Select(parameter => parameter.ParameterType).Where(type => type.IsGenericType && type.GetGenericTypeDefinition() == typeof(ILogger<>))
            .Select(type => type.GetGenericArguments()[0].FullName!).Distinct(StringComparer.Ordinal).ToList();

        categories.Count.ShouldBeGreaterThan(20);
        categories.ShouldAllBe(category => LogWords.Of(category).Length <= LogWords.Width);
        categories.Where(category => LogWords.Of(category) == LogWords.Of("Serverless")).Where(category => !category.StartsWith("Serverless.Hosting.Distributed", StringComparison.Ordinal) && !category.StartsWith("Serverless.Hosting.Telemetry", StringComparison.Ordinal))
            .ShouldBeEmpty("a part of its own needs a word of its own in LogWords");
    }

    [Fact]
    public void No_message_prints_a_time_span_or_tells_internals_where_everybody_reads()
    {
        var messages = Ours.SelectMany(assembly => assembly.GetTypes()).SelectMany(type => type.GetMethods(BindingFlags.Instance | BindingFlags.Static | BindingFlags.NonPublic | BindingFlags.Public | BindingFlags.DeclaredOnly))
            .Select(method => (Method: method, Message: method.GetCustomAttribute<LoggerMessageAttribute>())).Where(each => each.Message is not null).ToList();

        messages.Count.ShouldBeGreaterThan(60);
        messages.Where(each => each.Method.GetParameters().Any(parameter => parameter.ParameterType == typeof(TimeSpan))).Select(each => each.Message!.Message).ShouldBeEmpty("seconds, with a unit");
        messages.Where(each => each.Message!.Level >= LogLevel.Information && each.Message.Message.Contains("{Epoch", StringComparison.OrdinalIgnoreCase)).Select(each => each.Message!.Message).ShouldBeEmpty();
    }

    private static (LogLevel Dispatching, LogLevel Redis, LogLevel Others) Levels(Dictionary<string, string?> settings, bool quiet = false)
    {
        using var app = Build(settings, quiet);
        var loggers = app.Services.GetRequiredService<ILoggerFactory>();
        return (Of(Dispatching), Of(Redis), Of(Kestrel));

        LogLevel Of(string category)
        {
            var logger = loggers.CreateLogger(category);
            return Enum.GetValues<LogLevel>().Order().First(logger.IsEnabled);
        }
    }

    private static WebApplication Build(Dictionary<string, string?> settings, bool quiet)
    {
        var builder = ProcessBuilder.Create([]);
        builder.Configuration.AddInMemoryCollection(settings);
        return builder.AddServerlessLogging(quiet).Build();
    }
}

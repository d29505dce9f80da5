using Serverless.Catalog.Engines;
using Serverless.Hosting.Engines.OpenAi;
using Serverless.Requests;
using Serverless.Tests.Engines;
using Shouldly;

namespace Serverless.Tests.Documentation;

public sealed class EnginesPageTests
{
    /// <summary>What the page says each engine can do is what its dialect says.</summary>
    [Fact]
    public void What_each_can_do_is_on_the_page() => Page.Read("engines.md").ShouldContain(string.Join('\n', Dialects.All.Select(Row)) + "\n");

    [Fact]
    public void Every_engine_with_an_api_is_registered() => Dialects.All.Select(dialect => TestEngines.Table.Find(dialect.Name)?.InThisProcess).ShouldAllBe(isHere => isHere == true);

    private static string Row(EngineDialect dialect)
    {
        var goesOn = (dialect.GoesOn(EndpointName.ChatCompletions), dialect.GoesOn(EndpointName.Completions)) switch { (true, true) => "yes", (false, true) => "completions", _ => "no" };
        var honours = dialect.Descriptor.Honours.Count == 0 ? "nothing" : string.Join(", ", dialect.Descriptor.Honours.Select(feature => $"`{feature.Name()}`"));
        return $"| `{dialect.Name}` | `/{dialect.HealthPath}` | {(dialect.MetricsPath is { } path ? $"`/{path}`" : "none")} | {goesOn} | {(dialect.TakesSeveralChoices ? "one call" : "a call each")} | {honours} |";
    }
}

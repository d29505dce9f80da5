using System.Globalization;
using System.Net;
using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.DependencyInjection;
using Serverless.Catalog;
using Serverless.Cli.Shell;
using Serverless.Hosting.Manifests;
using Serverless.Hosting.Telemetry;
using Spectre.Console;

namespace Serverless.Cli.Embedded;

/// <summary>What a started platform says: which version, where it is, what it serves, and what to try.</summary>
internal static class Greeting
{
    public static void Print(IAnsiConsole console, WebApplication host, EmbeddedOptions options)
    {
        var address = Shown(EmbeddedHost.Address(host));
        var catalog = host.Services.GetRequiredService<ICatalogSource>();
        var models = catalog.Current.Models;
        console.MarkupLineInterpolated($"[bold]Serverless[/] {ToolVersion.Text} serves on {address}/v1{(IPAddress.IsLoopback(options.Host) ? "" : $", and on {(IsAny(options.Host) ? "all addresses" : options.Host)} for other machines")}");
        if (EmbeddedHost.ScalerAddress(host, options) is { } keda) console.MarkupLineInterpolated($"  KEDA's contract on {Shown(keda)}");
        console.MarkupLineInterpolated($"  data in {options.Data ?? "a temporary folder"}; {(options.Keys is { } keys ? $"API keys of {keys}" : "no API key is asked for")}");
        foreach (var model in models) console.MarkupLineInterpolated(CultureInfo.InvariantCulture, $"  {model.Name.Value}  [grey]{model.Scaling.MinReplicas} to {model.Scaling.MaxReplicas} replicas, {model.ContextTokens:N0} tokens of context[/]");
        foreach (var warning in (catalog as FileCatalogSource)?.Warnings ?? []) console.MarkupLineInterpolated($"  [yellow]{PlainText.OneLine(warning.ToString())}[/]");
        if (models.Count == 0)
        {
            console.MarkupLine("  [yellow]Nothing is served: no Playground or Service names a model. docs/manifests.md shows one.[/]");
            return;
        }

        console.WriteLine();
        console.WriteLine($"curl {address}/v1/chat/completions -H 'Content-Type: application/json' \\");
        if (options.Keys is not null) console.WriteLine("  -H \"Authorization: Bearer $SERVERLESS_API_KEY\" \\");
        console.WriteLine($$"""  -d '{"model": "{{models[0].Name}}", "messages": [{"role": "user", "content": "What is the opposite of hot?"}]}'""");
        console.WriteLine();
        console.MarkupLineInterpolated($"[grey]serverless chat talks to it, serverless pools --watch shows what it does{At(address)}; Ctrl+C stops it.[/]");
    }

    private static string At(string address) => address == "http://127.0.0.1:8080" ? "" : $" (with --url {address})";

    private static bool IsAny(IPAddress address) => address.Equals(IPAddress.Any) || address.Equals(IPAddress.IPv6Any);

    /// <summary>As it is reached from here: no client connects to 0.0.0.0.</summary>
    private static string Shown(Uri address) =>
        address.ToString().TrimEnd('/').Replace("//0.0.0.0:", "//127.0.0.1:", StringComparison.Ordinal).Replace("//[::]:", "//[::1]:", StringComparison.Ordinal);
}

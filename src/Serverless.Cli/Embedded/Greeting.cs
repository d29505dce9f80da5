using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.DependencyInjection;
using Serverless.Catalog;
using Serverless.Hosting.Manifests;
using Spectre.Console;

namespace Serverless.Cli.Embedded;

/// <summary>What a started platform says: where it is and what to try.</summary>
internal static class Greeting
{
    public static void Print(IAnsiConsole console, WebApplication host)
    {
        var address = EmbeddedHost.Address(host).ToString().TrimEnd('/');
        var models = host.Services.GetRequiredService<ICatalogSource>().Current.Models;
        console.MarkupLine($"[bold]Serverless[/] serves on [link]{address}/v1[/] (KEDA's contract on {EmbeddedHost.ScalerAddress(host).ToString().TrimEnd('/')})");
        foreach (var model in models) console.MarkupLine($"  {Markup.Escape(model.Name.Value)}  [grey]{model.Scaling.MinReplicas} to {model.Scaling.MaxReplicas} replicas, {model.ContextTokens:N0} tokens of context[/]");
        if (host.Services.GetRequiredService<ICatalogSource>() is FileCatalogSource files)
        {
            foreach (var warning in files.Warnings) console.MarkupLine($"  [yellow]{Markup.Escape(warning.ToString())}[/]");
        }

        if (models.Count == 0) return;

        console.WriteLine();
        // Past the console, which would wrap it: it is there to be copied.
        console.Profile.Out.Writer.WriteLine($$"""
            curl {{address}}/v1/chat/completions -H 'Content-Type: application/json' \
              -d '{"model": "{{models[0].Name}}", "messages": [{"role": "user", "content": "What is the opposite of hot?"}]}'
            """);
        console.WriteLine();
        console.MarkupLine("[grey]serverless chat talks to it, serverless pools shows what it does; Ctrl+C stops it.[/]");
    }
}

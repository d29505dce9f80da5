using System.Globalization;
using Serverless.Catalog.Accelerators;
using Serverless.Cli.Parsing;
using Serverless.Cli.Shell;
using Serverless.Hosting.Accelerators;

namespace Serverless.Cli.Commands;

/// <summary><c>serverless classes</c>: the accelerator classes that flavors may name, what each stands for, and which of them this machine has.</summary>
internal static class ClassesCommand
{
    public static ToolCommand Create(Terminal terminal)
    {
        var output = OutputOption.Create();
        var command = new ToolCommand(
            "classes",
            "Show the accelerator classes that flavors may name, and what this machine has of them.",
            "serverless classes",
            "serverless classes --output json | jq '.here'") { output };
        command.SetAction(async (parsed, cancellationToken) =>
        {
            var here = await terminal.Accelerators(cancellationToken);
            if (parsed.IsJson(output)) JsonText.Write(terminal, new { classes = AcceleratorCatalog.All.Select(Json), prices = AcceleratorCatalog.PricesFrom, here = here.Select(Json) });
            else Print(terminal, here);
            return ExitCode.Done;
        });
        return command;
    }

    private static object Json(Accelerator one) => new { one.Name, one.Aliases, one.Vendor, one.Resource, one.NodeSelector, one.MemoryGiB, one.Images, listPricePerHour = one.ListPrice };

    private static object Json(FoundAccelerator found) => new { @class = found.Class?.Name, found.Device, found.Count, found.MemoryMiB };

    private static void Print(Terminal terminal, IReadOnlyList<FoundAccelerator> here)
    {
        terminal.WriteTable(Columns.Lines(["class", "vendor", "memory", "list $/h", "images", "resource", "here"], AcceleratorCatalog.All.Select(one => Cells(one, here)), 2..4, width: null));
        foreach (var found in here.Where(found => found.Class is null)) terminal.Write(string.Create(CultureInfo.InvariantCulture, $"Here too: {found.Count} × {found.Device}{Of(found.MemoryMiB)}, of no class that is known by itself."));
    }

    private static string[] Cells(Accelerator one, IReadOnlyList<FoundAccelerator> here) =>
    [
        one.Name,
        one.Vendor,
        one.MemoryGiB is { } memory ? string.Create(CultureInfo.InvariantCulture, $"{memory} GiB") : "",
        one.ListPrice?.ToString("F2", CultureInfo.InvariantCulture) ?? "",
        one.Images,
        one.Resource,
        string.Join(", ", here.Where(found => found.Class == one).Select(found => string.Create(CultureInfo.InvariantCulture, $"{found.Count}{Of(found.MemoryMiB)}"))),
    ];

    private static string Of(long? memory) => memory is { } mib ? string.Create(CultureInfo.InvariantCulture, $" ({mib / 1024.0:F0} GiB)") : "";
}

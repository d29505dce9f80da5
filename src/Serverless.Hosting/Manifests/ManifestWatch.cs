using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Serverless.Catalog;
using Serverless.Catalog.Manifests;
using Serverless.Loops;

namespace Serverless.Hosting.Manifests;

/// <summary>
/// Follows the manifests of a folder: each second it looks at them, and what two looks agree on and was not read yet is read. So a file that is being written is no change, and
/// nothing needs the system's watches, of which a folder may take thousands.
/// </summary>
internal sealed partial class ManifestWatch(FileCatalogSource source, Supervisor supervisor, TimeProvider time, ILogger<ManifestWatch> logger) : BackgroundService
{
    private const int MostTold = 5;
    private static readonly TimeSpan Interval = TimeSpan.FromSeconds(1);

    private FolderLook _seen = source.LastRead;
    private bool _isFaulty;

    /// <summary>One look.</summary>
    public void Look()
    {
        var look = source.Look();
        var isSettled = look.Agrees(_seen);
        _seen = look;
        if (isSettled && !look.Agrees(source.LastRead)) Read(look);
    }

    protected override Task ExecuteAsync(CancellationToken stoppingToken) => supervisor.RunAsync("manifests", WatchAsync, stoppingToken);

    private async Task WatchAsync(CancellationToken stoppingToken)
    {
        using var timer = new PeriodicTimer(Interval, time);
        while (await timer.WaitForNextTickAsync(stoppingToken)) Look();
    }

    private void Read(FolderLook look)
    {
        var (before, warned) = (source.Current, source.Warnings);
        var reading = source.Reload(look);
        if (reading.Catalog is not { } catalog)
        {
            _isFaulty = true;
            var more = reading.Errors.Count > MostTold ? $"; and {reading.Errors.Count - MostTold} more" : "";
            Faulty(source.Folder, string.Join("; ", reading.Errors.Take(MostTold)) + more);
            return;
        }

        if (_isFaulty) Mended(source.Folder);
        _isFaulty = false;
        foreach (var warning in reading.Warnings.Except(warned)) WithoutEffect(warning);
        var change = CatalogChange.Between(before, catalog);
        if (!change.IsEmpty) Changed(source.Folder, change);
    }

    [LoggerMessage(Level = LogLevel.Information, Message = "The manifests in {Folder} changed. {Change}")]
    private partial void Changed(string folder, CatalogChange change);

    [LoggerMessage(Level = LogLevel.Error, Message = "The change of the manifests in {Folder} is faulty and not taken; what was served before stays: {Errors}")]
    private partial void Faulty(string folder, string errors);

    [LoggerMessage(Level = LogLevel.Information, Message = "The manifests in {Folder} are in order again.")]
    private partial void Mended(string folder);

    [LoggerMessage(Level = LogLevel.Warning, Message = "{Warning}")]
    private partial void WithoutEffect(CatalogFinding warning);
}

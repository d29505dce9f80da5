using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Serverless.Catalog;
using Serverless.Catalog.Manifests;
using Serverless.Loops;

namespace Serverless.Hosting.Manifests;

/// <summary>
/// Follows the manifests of a folder: each second it looks at them, and reads what has settled (<see cref="SettledLooks"/>). Nothing needs the system's watches, of which a folder
/// may take thousands.
/// </summary>
internal sealed partial class ManifestWatch(FileCatalogSource source, Supervisor supervisor, TimeProvider time, ILogger<ManifestWatch> logger) : BackgroundService
{
    private const int MostTold = 5;

    /// <summary>Seconds that looks must agree before a model is gone.</summary>
    private const int Losing = 5;

    private static readonly TimeSpan Interval = TimeSpan.FromSeconds(1);

    private readonly SettledLooks _looks = new(source.LastRead, Losing);
    private bool _isFaulty;

    /// <summary>One look.</summary>
    public void Look()
    {
        var settled = _looks.See(source.Look(), source.LastRead);
        foreach (var file in settled.Restless) Restless(file);
        if (settled.IsToBeRead) Read(settled);
    }

    protected override Task ExecuteAsync(CancellationToken stoppingToken) => supervisor.RunAsync("manifests", WatchAsync, stoppingToken);

    private async Task WatchAsync(CancellationToken stoppingToken)
    {
        using var timer = new PeriodicTimer(Interval, time.Aligned());
        while (await timer.WaitForNextTickAsync(stoppingToken)) Look();
    }

    private void Read(SettledLook settled)
    {
        var (before, warned) = (source.Current, source.Warnings);
        if (source.Reload(settled.Look, settled.MayLose) is not { } reading) return;

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

    [LoggerMessage(Level = LogLevel.Information, Message = "{File} changes all the time; it is read when it rests, and the other files are followed meanwhile.")]
    private partial void Restless(string file);

    [LoggerMessage(Level = LogLevel.Warning, Message = "{Warning}")]
    private partial void WithoutEffect(CatalogFinding warning);
}

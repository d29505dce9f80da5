using Serverless.EndToEndTests.Parts;

[assembly: AssemblyFixture(typeof(Serverless.EndToEndTests.KedaCluster))]

namespace Serverless.EndToEndTests;

/// <summary>A real control plane with the real KEDA, shared by all tests of this process and started by the first that needs it; nothing where there is no rig.</summary>
public sealed class KedaCluster : IAsyncLifetime
{
    public const string Namespace = "serverless";

    private static readonly Dictionary<string, string> HpaAtOnce = new() { ["RIG_HPA_SYNC"] = "2s" };

    private readonly string _folder = Path.Combine(Path.GetTempPath(), $"serverless-keda-{Guid.NewGuid():N}");
    private readonly SemaphoreSlim _starting = new(1, 1);
    private bool _up;

    internal string Folder => _folder;

    public ValueTask InitializeAsync() => default;

    /// <summary>Starts it unless it runs already; skips the test where there is no rig.</summary>
    public async Task UpAsync()
    {
        Assert.SkipWhen(Rig.Script is null, Rig.Absent);
        await _starting.WaitAsync(TestContext.Current.CancellationToken);
        try
        {
            if (_up) return;
            await Rig.RunAsync(new Dictionary<string, string>(HpaAtOnce) { ["RIG_PORT"] = Rig.FreePorts() }, null, "up", _folder, "--with", "keda");
            _up = true;
        }
        finally
        {
            _starting.Release();
        }
    }

    public Task ApplyAsync(string manifests) => Rig.RunAsync(HpaAtOnce, manifests, "kubectl", _folder, "apply", "-f", "-");

    public Task<string> KubectlAsync(params string[] arguments) => Rig.RunAsync(HpaAtOnce, null, ["kubectl", _folder, "-n", Namespace, .. arguments]);

    /// <summary>Follows one field of one object.</summary>
    internal Task<FieldWatch> WatchAsync(string resource, string jsonPath) =>
        FieldWatch.StartAsync(Rig.Start(HpaAtOnce, "kubectl", _folder, "-n", Namespace, "get", resource, "--watch", "-o", $"jsonpath={{{jsonPath}}}{{\"\\n\"}}"), $"{resource} {jsonPath}", TestContext.Current.CancellationToken);

    /// <summary>Kills the operator and starts another with the same words; it lives until it is disposed of, or until the cluster ends.</summary>
    internal async Task<IAsyncDisposable> RestartOperatorAsync(CancellationToken cancellationToken)
    {
        var file = Path.Combine(_folder, "pids", "keda-operator");
        var id = (await File.ReadAllTextAsync(file, cancellationToken)).Trim();
        var words = (await File.ReadAllTextAsync($"/proc/{id}/cmdline", cancellationToken)).Split('\0', StringSplitOptions.RemoveEmptyEntries);
        var environment = (await File.ReadAllTextAsync($"/proc/{id}/environ", cancellationToken)).Split('\0', StringSplitOptions.RemoveEmptyEntries)
            .Select(variable => variable.Split('=', 2)).Where(variable => variable[0] is "WATCH_NAMESPACE" or "POD_NAMESPACE" or "KEDA_CLUSTER_OBJECT_NAMESPACE" or "KUBECONFIG")
            .ToDictionary(variable => variable[0], variable => variable[1]);
        using (var old = System.Diagnostics.Process.GetProcessById(int.Parse(id, System.Globalization.CultureInfo.InvariantCulture)))
        {
            old.Kill();
            await old.WaitForExitAsync(cancellationToken);
        }

        return PartProcess.Start("keda-operator", words[0], words[1..], environment);
    }

    public async ValueTask DisposeAsync()
    {
        _starting.Dispose();
        if (!Directory.Exists(_folder)) return;

        await Rig.RunAsync(HpaAtOnce, null, "down", _folder);
        Directory.Delete(_folder, recursive: true);
    }
}

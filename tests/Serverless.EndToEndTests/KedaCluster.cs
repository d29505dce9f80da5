namespace Serverless.EndToEndTests;

/// <summary>A real control plane with the real KEDA, for all tests of a class; nothing where there is no rig.</summary>
public sealed class KedaCluster : IAsyncLifetime
{
    public const string Namespace = "serverless";

    private static readonly Dictionary<string, string> HpaAtOnce = new() { ["RIG_HPA_SYNC"] = "2s" };

    private readonly string _folder = Path.Combine(Path.GetTempPath(), $"serverless-keda-{Guid.NewGuid():N}");

    public async ValueTask InitializeAsync()
    {
        if (Rig.Script is null) return;

        try
        {
            await Rig.RunAsync(new Dictionary<string, string>(HpaAtOnce) { ["RIG_PORT"] = Rig.FreePorts() }, null, "up", _folder, "--with", "keda");
        }
        catch
        {
            await DisposeAsync();
            throw;
        }
    }

    public Task ApplyAsync(string manifests) => Rig.RunAsync(HpaAtOnce, manifests, "kubectl", _folder, "apply", "-f", "-");

    public Task<string> KubectlAsync(params string[] arguments) => Rig.RunAsync(HpaAtOnce, null, ["kubectl", _folder, "-n", Namespace, .. arguments]);

    /// <summary>Follows one field of one object.</summary>
    internal FieldWatch Watch(string resource, string jsonPath) =>
        new(Rig.Start(HpaAtOnce, "kubectl", _folder, "-n", Namespace, "get", resource, "--watch", "-o", $"jsonpath={{{jsonPath}}}{{\"\\n\"}}"), $"{resource} {jsonPath}");

    public async ValueTask DisposeAsync()
    {
        if (!Directory.Exists(_folder)) return;

        await Rig.RunAsync(HpaAtOnce, null, "down", _folder);
        Directory.Delete(_folder, recursive: true);
    }
}

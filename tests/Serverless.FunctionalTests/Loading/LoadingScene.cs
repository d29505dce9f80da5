using System.Security.Cryptography;
using Microsoft.Extensions.Logging.Abstractions;
using Serverless.Catalog;
using Serverless.Engines;
using Serverless.Hosting.Loading;
using Shouldly;

namespace Serverless.FunctionalTests.Loading;

/// <summary>A server of models, and a cache of the test over it.</summary>
internal sealed class LoadingScene : IAsyncDisposable
{
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("serverless-loading-");
    private readonly List<ModelStore> _stores = [];

    private LoadingScene(ModelServer server) => Server = server;

    public ModelServer Server { get; }

    public string Folder => Path.Combine(_folder.FullName, "cache");

    public static async Task<LoadingScene> StartAsync() => new(await ModelServer.StartAsync());

    /// <summary>A store as another process has it: over the same folder.</summary>
    public ModelStore Store(Action<ModelOptions>? change = null, Func<string, long>? freeBytes = null)
    {
        var options = new ModelOptions
        {
            Directory = Folder,
            MinFreeBytes = 0,
            SegmentBytes = 64 << 10,
            FirstPause = TimeSpan.FromMilliseconds(1),
            HuggingFace = { Endpoint = Server.Address },
            ModelScope = { Endpoint = Server.Address },
            Ollama = { Endpoint = Server.Address },
        };
        change?.Invoke(options);
        var store = new ModelStore(options, TimeProvider.System, NullLogger<ModelStore>.Instance, freeBytes);
        _stores.Add(store);
        return store;
    }

    public ModelSource Web(string path) => ModelUri.Parse(Server.At(path).ToString(), out _).ShouldNotBeNull();

    public static async Task<HeldModel> HoldAsync(ModelStore store, ModelSource source) =>
        await store.HoldAsync(source, new Progress<double>(), TestContext.Current.CancellationToken).WithinLimitAsync();

    public static async Task<string> FailsAsync(ModelStore store, ModelSource source) =>
        (await Should.ThrowAsync<ModelPullException>(() => HoldAsync(store, source))).Message;

    /// <summary>Whoever looks sees what is whole, or nothing.</summary>
    public void NothingHalf(params byte[][] whole)
    {
        var allowed = whole.Select(bytes => Convert.ToHexStringLower(SHA256.HashData(bytes))).ToList();
        foreach (var blob in Directory.Exists(Path.Combine(Folder, "blobs")) ? Directory.GetFiles(Path.Combine(Folder, "blobs")) : [])
        {
            Path.GetFileName(blob).ShouldBe(Convert.ToHexStringLower(SHA256.HashData(File.ReadAllBytes(blob))));
            allowed.ShouldContain(Path.GetFileName(blob));
        }
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var store in _stores) store.Dispose();
        await Server.DisposeAsync();
        _folder.Delete(recursive: true);
    }
}

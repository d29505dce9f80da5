using System.Globalization;
using System.Net;
using System.Text.Json.Nodes;
using Microsoft.Extensions.DependencyInjection;
using Serverless.Tenancy;
using Shouldly;

namespace Serverless.FunctionalTests.Gateway;

/// <summary>A gateway that keeps files in a folder of the test, and three teams that have keys, two of one organization.</summary>
internal sealed class FilesUnderTest : IAsyncDisposable
{
    private static readonly (string Key, string Line) AcmeKey = ApiKeyTable.Create("acme", "research", admin: false);
    private static readonly (string Key, string Line) RivalKey = ApiKeyTable.Create("acme", "sales", admin: false);
    private static readonly (string Key, string Line) GlobexKey = ApiKeyTable.Create("globex", "research", admin: false);

    private readonly DirectoryInfo _folder;

    private FilesUnderTest(DirectoryInfo folder, GatewayUnderTest gateway) => (_folder, Gateway) = (folder, gateway);

    public static (string, string) Acme => ("Authorization", "Bearer " + AcmeKey.Key);

    public static (string, string) Rival => ("Authorization", "Bearer " + RivalKey.Key);

    /// <summary>Of another organization.</summary>
    public static (string, string) Globex => ("Authorization", "Bearer " + GlobexKey.Key);

    public GatewayUnderTest Gateway { get; }

    /// <summary>Where its files are.</summary>
    public string Folder => _folder.FullName;

    /// <summary>What is on disk, the unfinished too.</summary>
    public IReadOnlyList<FileInfo> OnDisk => [.. _folder.EnumerateFiles("*", SearchOption.AllDirectories)];

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    /// <param name="backend">Stores and queue, to share them with another gateway.</param>
    /// <param name="configure">Other services.</param>
    /// <param name="settings">Its options; a key without a colon is one of <c>Files</c>.</param>
    public static async Task<FilesUnderTest> StartAsync(Backend? backend = null, Action<IServiceCollection>? configure = null, params (string Key, object Value)[] settings)
    {
        var folder = Directory.CreateTempSubdirectory("serverless-test-files-");
        var all = new Dictionary<string, string?> { ["Files:Directory"] = folder.FullName };
        foreach (var (key, value) in settings) all[key.Contains(':', StringComparison.Ordinal) ? key : "Files:" + key] = Convert.ToString(value, CultureInfo.InvariantCulture);
        var gateway = await GatewayUnderTest.StartAsync(all, services =>
        {
            services.AddSingleton<IApiKeySource>(new FixedKeys(ApiKeyTable.Parse($"{AcmeKey.Line}\n{RivalKey.Line}\n{GlobexKey.Line}")));
            configure?.Invoke(services);
        }, backend);
        return new FilesUnderTest(folder, gateway);
    }

    /// <summary>Uploads as most clients do.</summary>
    public Task<HttpResponseMessage> UploadAsync(HttpContent content, string purpose = "batch", string filename = "a.jsonl", (string, string)? owner = null, params (string Name, string Value)[] fields)
    {
        var form = new MultipartFormDataContent { { new StringContent(purpose), "purpose" }, { content, "file", filename } };
        foreach (var (name, value) in fields) form.Add(new StringContent(value), $"\"{name}\"");
        return SendAsync(HttpMethod.Post, "/v1/files", form, owner);
    }

    /// <summary>Uploads, and gives the file's object.</summary>
    public async Task<JsonObject> CreateAsync(byte[] bytes, string purpose = "batch", (string, string)? owner = null, params (string Name, string Value)[] fields)
    {
        using var answer = await UploadAsync(new ByteArrayContent(bytes), purpose, owner: owner, fields: fields);
        answer.StatusCode.ShouldBe(HttpStatusCode.OK, await answer.Content.ReadAsStringAsync(Token));
        return await JsonAsync(answer);
    }

    public Task<HttpResponseMessage> AskAsync(HttpMethod method, string path, (string, string)? owner = null, params (string, string)[] headers) => Gateway.AskAsync(method, path, [owner ?? Acme, .. headers]);

    public Task<HttpResponseMessage> SendAsync(HttpMethod method, string path, HttpContent content, (string, string)? owner = null, CancellationToken? cancellationToken = null)
    {
        var message = new HttpRequestMessage(method, path) { Content = content };
        var (name, value) = owner ?? Acme;
        message.Headers.TryAddWithoutValidation(name, value);
        return Gateway.Client.SendAsync(message, HttpCompletionOption.ResponseHeadersRead, cancellationToken ?? Token);
    }

    public async Task<JsonObject> GetAsync(string path, (string, string)? owner = null)
    {
        using var answer = await AskAsync(HttpMethod.Get, path, owner);
        answer.StatusCode.ShouldBe(HttpStatusCode.OK);
        return await JsonAsync(answer);
    }

    public static async Task<JsonObject> JsonAsync(HttpResponseMessage answer) => JsonNode.Parse(await answer.Content.ReadAsStringAsync(Token)).ShouldNotBeNull().AsObject();

    public async ValueTask DisposeAsync()
    {
        await Gateway.DisposeAsync();
        _folder.Delete(recursive: true);
    }

    private sealed class FixedKeys(ApiKeyTable table) : IApiKeySource
    {
        public ApiKeyTable? Current => table;
    }
}

using System.Threading.Channels;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Options;
using Serverless.Errors;
using Serverless.Hosting.Keys;
using Serverless.Tenancy;
using Shouldly;

namespace Serverless.Tests.Tenancy;

/// <summary>API keys of a secret whose store the test plays.</summary>
public sealed class SecretApiKeySourceTests : IDisposable
{
    private static readonly (string Key, string Line) First = ApiKeyTable.Create("acme", "search", admin: false);
    private static readonly (string Key, string Line) Second = ApiKeyTable.Create("acme", "ads", admin: false);

    private readonly TestClock _time = new();
    private readonly Channel<TaskCompletionSource<IReadOnlyDictionary<string, string>>> _reads = Channel.CreateBounded<TaskCompletionSource<IReadOnlyDictionary<string, string>>>(100);
    private readonly SecretApiKeySource _keys;

    public SecretApiKeySourceTests()
    {
        var options = new ApiKeyOptions { Secret = "api-keys", Refresh = TimeSpan.FromSeconds(30), StartTimeout = TimeSpan.FromSeconds(60) };
        _keys = new SecretApiKeySource((_, _) => ReadAsync(), Options.Create(options), _time, NullLogger<SecretApiKeySource>.Instance);
    }

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public void Dispose() => _keys.Dispose();

    [Fact]
    public async Task The_start_waits_for_the_secret_store()
    {
        var starting = _keys.StartingAsync(Token);
        (await AskedAsync()).SetException(Away());
        starting.IsCompleted.ShouldBeFalse();

        _time.Advance(TimeSpan.FromMilliseconds(500));
        (await AskedAsync()).SetResult(Entries(First.Line));

        await starting.WithinLimitAsync();
        _keys.Current!.Find(First.Key).ShouldNotBeNull();
    }

    [Fact]
    public async Task A_secret_that_does_not_come_stops_the_start_and_is_named()
    {
        var starting = _keys.StartingAsync(Token);
        (await AskedAsync()).SetException(Away());

        _time.Advance(TimeSpan.FromSeconds(60));
        var again = _reads.Reader.TryRead(out var read) ? read : null;
        again?.SetException(Away());

        (await Should.ThrowAsync<InvalidOperationException>(() => starting.WithinLimitAsync())).Message.ShouldContain("'api-keys' within 60 s");
    }

    [Fact]
    public async Task A_new_key_is_known_and_a_revoked_one_refused_after_the_refresh()
    {
        await StartAsync();

        (await RefreshedAsync()).SetResult(Entries(Second.Line));
        await RefreshedAsync(); // asked again: the answer before has been taken

        _keys.Current!.Find(First.Key).ShouldBeNull();
        _keys.Current!.Find(Second.Key).ShouldNotBeNull();
    }

    [Fact]
    public async Task A_store_that_is_away_and_a_faulty_secret_change_nothing()
    {
        await StartAsync();

        (await RefreshedAsync()).SetException(Away());
        (await RefreshedAsync()).SetResult(Entries("no line of a key"));
        await RefreshedAsync();

        _keys.Current!.Find(First.Key).ShouldNotBeNull();
    }

    [Fact]
    public async Task Whatever_the_store_throws_it_is_asked_again_and_a_revoked_key_dies()
    {
        await StartAsync();

        (await RefreshedAsync()).SetException(new InvalidOperationException("a bug"));
        (await RefreshedAsync()).SetCanceled(CancellationToken.None);
        (await RefreshedAsync()).SetResult(Entries(Second.Line));
        await RefreshedAsync();

        _keys.Current!.Find(First.Key).ShouldBeNull();
    }

    private static ServingException Away() => new(new ServingFault(ServingError.StoreUnavailable, "The sidecar is away."));

    private async Task StartAsync()
    {
        var starting = _keys.StartingAsync(Token);
        (await AskedAsync()).SetResult(Entries(First.Line));
        await starting.WithinLimitAsync();
        await _keys.StartAsync(Token);
    }

    /// <summary>The next refresh; half minutes pass until then, for its timer may not have begun.</summary>
    private async Task<TaskCompletionSource<IReadOnlyDictionary<string, string>>> RefreshedAsync()
    {
        var asked = AskedAsync();
        await _time.PassUntilAsync(asked, TimeSpan.FromSeconds(30));

        return await asked;
    }

    private Task<TaskCompletionSource<IReadOnlyDictionary<string, string>>> AskedAsync() => _reads.Reader.ReadAsync(Token).WithinLimitAsync();

    private Task<IReadOnlyDictionary<string, string>> ReadAsync()
    {
        var read = new TaskCompletionSource<IReadOnlyDictionary<string, string>>();
        _reads.Writer.TryWrite(read).ShouldBeTrue();
        return read.Task;
    }

    private static Dictionary<string, string> Entries(string line) => new() { ["keys"] = line };
}

using Dapr.Client;
using Microsoft.Extensions.Options;

namespace Serverless.Hosting.Dapr;

/// <summary>Reads secrets from the sidecar's secret store. Values are never logged. Thread-safe.</summary>
public sealed class DaprSecrets
{
    private readonly DaprClient _client;
    private readonly DaprCalls _calls;
    private readonly string _store;

    internal DaprSecrets(DaprClient client, DaprCalls calls, IOptions<DaprOptions> options)
    {
        _client = client;
        _calls = calls;
        _store = options.Value.SecretStore;
    }

    /// <summary>The secret's entries by name.</summary>
    /// <exception cref="Errors.ServingException"><see cref="Errors.ServingError.StoreUnavailable"/>: the sidecar or its store cannot be reached, or has no such secret for this app; Dapr does not tell these apart.</exception>
    public async Task<IReadOnlyDictionary<string, string>> ReadAsync(string secret, CancellationToken cancellationToken) =>
        await _calls.RunAsync<IReadOnlyDictionary<string, string>>($"The secret '{secret}' of the store '{_store}'", async token => await _client.GetSecretAsync(_store, secret, null, token), cancellationToken);
}

namespace Serverless.Tenancy;

/// <summary>The source of a process that asks for no key: the embedded shape.</summary>
public sealed class NoApiKeys : IApiKeySource
{
    /// <inheritdoc/>
    public ApiKeyTable? Current => null;
}

namespace Serverless.Requests;

/// <summary>Whose request it is: the path of fairness, limits and visibility.</summary>
/// <param name="Organization">The tenant at the top.</param>
/// <param name="Team">A team or project of it.</param>
/// <param name="Key">The id of the API key, never the key.</param>
public sealed record Owner(string Organization, string Team, string Key)
{
    /// <summary>The one owner of the embedded shape, which asks for no key.</summary>
    public static Owner Local { get; } = new("local", "local", "local");

    /// <summary>Who may see what is its: the team, as all keys of a team share its requests, files and batches. The tenant of its documents.</summary>
    public string Scope => $"{Organization}:{Team}";
}

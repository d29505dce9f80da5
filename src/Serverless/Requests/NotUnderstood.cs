namespace Serverless.Requests;

/// <summary>Why a record cannot be read here.</summary>
/// <param name="Field">The field of it.</param>
/// <param name="Value">What it holds.</param>
/// <param name="IsLater">Whether a later release may well read it: leave it to others. False: it is broken, and nobody reads it.</param>
public sealed record NotUnderstood(string Field, string Value, bool IsLater)
{
    private const int LongestShown = 64;

    /// <inheritdoc/>
    public override string ToString()
    {
        var shown = Value.Length <= LongestShown ? Value : Value[..LongestShown] + "…";
        return IsLater ? $"Its '{Field}' is '{shown}', which this release does not know; finish the roll-out." : $"Its '{Field}' is '{shown}', which no release wrote.";
    }
}

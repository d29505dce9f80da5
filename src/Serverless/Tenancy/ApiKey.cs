using Serverless.Requests;

namespace Serverless.Tenancy;

/// <summary>What a known API key stands for. The key itself is nowhere kept.</summary>
/// <param name="Owner">Whose it is.</param>
/// <param name="Admin">Whether it opens the admin routes too.</param>
public sealed record ApiKey(Owner Owner, bool Admin)
{
    /// <summary>The key of a process that asks for none: the local owner, who may do everything.</summary>
    public static ApiKey Local { get; } = new(Owner.Local, Admin: true) { HighestLane = Lane.Realtime };

    /// <summary>The highest lane its requests may take: lanes are strict, so whoever may choose them freely starves all others. Default: <see cref="Lane.Interactive"/>.</summary>
    public Lane HighestLane { get; init; } = Lane.Interactive;
}

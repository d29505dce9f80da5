using System.Globalization;
using System.Runtime.CompilerServices;
using Serverless.Batches;
using Serverless.Files;

namespace Serverless.Gateway.Batches;

/// <summary>What a batch keeps in the store of files while it runs: the pieces of its plan, and segments of its results. Each is written once and never changed. Thread-safe.</summary>
internal sealed class BatchStore(IFileStore store)
{
    /// <summary>The room of batches in the store.</summary>
    public const string Room = "batches";

    /// <summary>Nobody's bound: what a batch makes is bounded by its lines.</summary>
    private const long Longest = long.MaxValue / 2;

    /// <summary>The name of a plan, that of its maker alone.</summary>
    public static string PlanName(string batch, BatchRunId run) => $"{batch}.plan.{run}";

    /// <summary>The name of a segment, never used twice.</summary>
    public static string SegmentName(string batch, BatchRunId run, int number, bool isFault) => string.Create(CultureInfo.InvariantCulture, $"{batch}.{(isFault ? "err" : "out")}.{run}.{number:D8}");

    /// <summary>The batch of which something in the room is; null: of none.</summary>
    public static string? BatchOf(string name) => name.Split('.')[0] is var id && BatchId.TryParse(id, out _) ? id : null;

    /// <summary>Keeps a piece of a plan: JSON lines.</summary>
    public async ValueTask PutPieceAsync(string plan, int piece, MemoryStream lines, CancellationToken cancellationToken) =>
        await store.PutAsync(PieceKey(plan, piece), Rewound(lines), Longest, cancellationToken);

    /// <summary>Keeps a segment under its name.</summary>
    public async ValueTask PutSegmentAsync(string name, MemoryStream lines, CancellationToken cancellationToken) => await store.PutAsync(new FileKey(Room, name), Rewound(lines), Longest, cancellationToken);

    /// <summary>The lines of a piece that are not done, with their numbers.</summary>
    /// <exception cref="BatchBrokenException">It is gone.</exception>
    public async IAsyncEnumerable<(int Number, byte[] Line)> ReadPieceAsync(Batch batch, int piece, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var key = PieceKey(batch.Progress.Plan, piece);
        await using var content = await store.OpenAsync(key, 0, null, cancellationToken) ?? throw Gone(key);
        var number = batch.Progress.Pieces[piece];
        await foreach (var (_, line) in JsonLines.ReadAsync(content, int.MaxValue, cancellationToken)) // what was not too long when the plan was made is not now
        {
            if (!batch.Progress.IsDone(number)) yield return (number, line!);
            number++;
        }
    }

    /// <summary>Segments one after the other.</summary>
    /// <param name="segments">Their names.</param>
    /// <param name="lost">Told of those that are gone, which are left out; null: one that is gone ends the reading with <see cref="BatchBrokenException"/>.</param>
    public Stream Join(IReadOnlyList<string> segments, Action<string>? lost) => new JoinedStream(segments, async (name, cancellationToken) =>
    {
        var key = new FileKey(Room, name);
        if (await store.OpenAsync(key, 0, null, cancellationToken) is { } content) return content;
        (lost ?? throw Gone(key))(key.ToString());
        return null;
    });

    /// <summary>Deletes what the batch names: it is at its end.</summary>
    public async ValueTask ClearAsync(Batch batch, CancellationToken cancellationToken)
    {
        var progress = batch.Progress;
        await ClearPlanAsync(progress.Plan, progress.Pieces.Count, cancellationToken);
        foreach (var name in progress.Outputs.Concat(progress.Faults)) await store.DeleteAsync(new FileKey(Room, name), cancellationToken);
    }

    /// <summary>Deletes the first pieces of a plan.</summary>
    public async ValueTask ClearPlanAsync(string plan, int pieces, CancellationToken cancellationToken)
    {
        for (var piece = 0; piece < pieces; piece++) await store.DeleteAsync(PieceKey(plan, piece), cancellationToken);
    }

    private static FileKey PieceKey(string plan, int piece) => new(Room, string.Create(CultureInfo.InvariantCulture, $"{plan}.{piece:D6}"));

    private static BatchBrokenException Gone(FileKey key) => new($"'{key}', which it kept in the store of files, is gone");

    private static MemoryStream Rewound(MemoryStream stream)
    {
        stream.Position = 0;
        return stream;
    }
}

/// <summary>One go at a batch by one gateway, unlike any other: what it keeps and asks for bears this name.</summary>
/// <param name="Epoch">Of its lease. A gateway that failed may come back under the same one.</param>
/// <param name="Nonce">By chance.</param>
internal readonly record struct BatchRunId(long Epoch, string Nonce)
{
    public override string ToString() => string.Create(CultureInfo.InvariantCulture, $"{Epoch:D15}.{Nonce}");
}

/// <summary>What a batch kept is gone: it cannot go on.</summary>
internal sealed class BatchBrokenException(string message) : Exception(message);

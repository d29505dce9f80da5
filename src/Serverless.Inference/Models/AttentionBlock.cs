namespace Serverless.Inference.Models;

/// <summary>Queries that attend together: of rows that follow each other in one sequence, and of heads that share keys and values. Query n is head n mod heads of row n div heads.</summary>
internal readonly unsafe ref struct AttentionBlock
{
    /// <summary>The sequence's pages.</summary>
    public required List<KeyValuePage> Pages { get; init; }

    public required KeyValueLayout Layout { get; init; }

    public required int Layer { get; init; }

    /// <summary>The key-value head.</summary>
    public required int Head { get; init; }

    /// <summary>Place of the first row in the sequence.</summary>
    public required int Position { get; init; }

    public required int Rows { get; init; }

    public required int Heads { get; init; }

    /// <summary>Positions that a row sees, its own the last; 0: all.</summary>
    public int Window { get; init; }

    /// <summary>Bound c of the scores, c·tanh(x/c); 0: none.</summary>
    public float Cap { get; init; }

    /// <summary>The first row's first query, rotated.</summary>
    public required float* Queries { get; init; }

    /// <summary>Floats from one row's queries to the next's.</summary>
    public required int QueryStride { get; init; }

    public required float* Outputs { get; init; }

    public required int OutputStride { get; init; }

    /// <summary>The first position that a query sees, and the one behind its last.</summary>
    public (int From, int To) Seen(int query)
    {
        var to = Position + (query / Heads) + 1;
        return (Window > 0 ? Math.Max(0, to - Window) : 0, to);
    }

    public float* Query(int query, int size) => Queries + ((long)(query / Heads) * QueryStride) + (query % Heads * size);

    public float* Output(int query, int size) => Outputs + ((long)(query / Heads) * OutputStride) + (query % Heads * size);
}

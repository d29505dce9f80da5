using Serverless.Inference.Kernels;

namespace Serverless.Inference.Models;

/// <summary>Which experts each row of a pass goes through, by what weight, and where its vectors lie among those of the same expert.</summary>
internal sealed unsafe class ExpertRouting : IDisposable
{
    private readonly int _experts;
    private readonly int _used;
    private readonly bool _normalizes;
    private readonly int _embedding;
    private readonly NativeMemoryBlock _logits;
    private readonly int[] _chosen;
    private readonly float[] _shares;
    private readonly int[] _places;
    private readonly (int Row, int Expert)[] _rows;
    private readonly int[] _starts;

    public ExpertRouting(ModelConfig config, int maxRows)
    {
        (_experts, _used, _normalizes, _embedding) = (config.Experts, config.ExpertsUsed, config.NormalizesExperts, config.Embedding);
        Stride = PackedMatrix.Padded(_experts);
        _logits = new NativeMemoryBlock((long)maxRows * Stride * sizeof(float));
        (_chosen, _shares, _places, _rows) = (new int[maxRows * _used], new float[maxRows * _used], new int[maxRows * _used], new (int, int)[maxRows * _used]);
        _starts = new int[_experts + 1];
    }

    /// <summary>Where the router's results go.</summary>
    public float* Logits => _logits.Floats;

    public int Stride { get; }

    /// <summary>Vectors of all experts.</summary>
    public int Places => _starts[_experts];

    /// <summary>Chooses the experts of a row, those of equal weight by their number, and lists them by their number: sums are taken in that order.</summary>
    public void Choose(int row)
    {
        var logits = Logits + ((long)row * Stride);
        var chosen = _chosen.AsSpan(row * _used, _used);
        var shares = _shares.AsSpan(row * _used, _used);
        for (var i = 0; i < _used; i++)
        {
            var best = -1;
            for (var expert = 0; expert < _experts; expert++)
            {
                if (!chosen[..i].Contains(expert) && (best < 0 || logits[expert] > logits[best])) best = expert;
            }

            chosen[i] = best;
        }

        var largest = logits[chosen[0]];
        chosen.Sort();
        var sum = 0.0;
        for (var expert = 0; expert < _experts; expert++)
        {
            if (!_normalizes || chosen.Contains(expert)) sum += Exp(logits[expert] - largest);
        }

        for (var i = 0; i < _used; i++) shares[i] = (float)(Exp(logits[chosen[i]] - largest) / sum);
    }

    /// <summary>Lays the chosen vectors of all rows behind each other, expert by expert.</summary>
    public void Group(int count)
    {
        var chosen = _chosen.AsSpan(0, count * _used);
        Array.Clear(_starts);
        foreach (var expert in chosen) _starts[expert + 1]++;
        for (var expert = 0; expert < _experts; expert++) _starts[expert + 1] += _starts[expert];
        Span<int> next = stackalloc int[_experts];
        _starts.AsSpan(0, _experts).CopyTo(next);
        for (var i = 0; i < chosen.Length; i++)
        {
            _places[i] = next[chosen[i]]++;
            _rows[_places[i]] = (i / _used, chosen[i]);
        }
    }

    /// <summary>Whose vector lies at a place.</summary>
    public (int Row, int Expert) At(int place) => _rows[place];

    /// <summary>Where an expert's vectors lie.</summary>
    public (int First, int Count) Rows(int expert) => (_starts[expert], _starts[expert + 1] - _starts[expert]);

    /// <summary>The weighted sum of a row's results.</summary>
    public void Sum(int row, float* results, int stride, float* output)
    {
        new Span<float>(output, _embedding).Clear();
        for (var i = row * _used; i < (row + 1) * _used; i++) VectorMath.AddScaled(output, results + ((long)_places[i] * stride), _shares[i], _embedding);
    }

    public void Dispose() => _logits.Dispose();

    /// <summary>Far below the largest it is nothing; not a number stays none.</summary>
    private static double Exp(float difference) => difference < -700 ? 0 : PortableMath.Exp(difference);
}

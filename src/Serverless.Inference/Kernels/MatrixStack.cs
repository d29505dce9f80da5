using Serverless.Inference.Weights;

namespace Serverless.Inference.Kernels;

/// <summary>
/// Matrices below each other that are multiplied with one vector, each in the format of its own file's tensor: those of one format are one packed matrix. An output has the
/// results of each tensor from a multiple of 16 on.
/// </summary>
internal sealed class MatrixStack : IDisposable
{
    private readonly PackedMatrix[] _parts;
    private readonly int[] _starts;

    private MatrixStack(PackedMatrix[] parts, int[] starts)
    {
        (_parts, _starts) = (parts, starts);
        OutputLength = parts.Sum(part => part.Groups * PackedMatrix.GroupRows);
    }

    public ReadOnlySpan<PackedMatrix> Parts => _parts;

    public int Columns => _parts[0].Columns;

    /// <summary>Length of an output vector, a multiple of 16.</summary>
    public int OutputLength { get; }

    /// <summary>Whether some product is of the quantized activations.</summary>
    public bool IsQuantized => Array.Exists(_parts, part => part.IsQuantized);

    /// <summary>Packs tensors of equal row length.</summary>
    public static MatrixStack Pack(params ReadOnlySpan<WeightRows> tensors)
    {
        var parts = new List<PackedMatrix>();
        var starts = new int[tensors.Length];
        try
        {
            var (first, end) = (0, 0);
            for (var i = 0; i < tensors.Length; i++)
            {
                starts[i] = end;
                end += PackedMatrix.Padded(tensors[i].Rows);
                if (i + 1 < tensors.Length && PackedMatrix.FormatOf(tensors[i + 1].Type) == PackedMatrix.FormatOf(tensors[i].Type)) continue;

                parts.Add(PackedMatrix.Pack(tensors[first..(i + 1)]));
                first = i + 1;
            }

            return new MatrixStack([.. parts], starts);
        }
        catch
        {
            foreach (var part in parts) part.Dispose();
            throw;
        }
    }

    /// <summary>Where the results of a tensor begin in an output.</summary>
    public int Start(int tensor) => _starts[tensor];

    public void Dispose()
    {
        foreach (var part in _parts) part.Dispose();
    }
}

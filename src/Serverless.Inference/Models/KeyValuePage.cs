namespace Serverless.Inference.Models;

/// <summary>
/// Keys and values of 32 tokens in all layers, in the pool's slab, and who holds it. A page in the <see cref="PrefixTree"/> is never written again and may have
/// any number of holders; one that is being filled has one.
/// </summary>
internal sealed unsafe class KeyValuePage(KeyValueLayout layout, byte* memory, int index)
{
    public const int Tokens = 32;

    public KeyValueLayout Layout { get; } = layout;

    /// <summary>Its place in the slab.</summary>
    public int Index { get; } = index;

    /// <summary>Sequences that hold it.</summary>
    public int References { get; set; }

    /// <summary>Its place in the tree; null while it is in none.</summary>
    public PrefixNode? Node { get; set; }

    /// <summary>Keys of a head.</summary>
    public byte* Keys(int layer, int head) => Layout.Keys(memory, layer, head);

    /// <summary>Takes over what another has.</summary>
    public void Copy(KeyValuePage other) => Buffer.MemoryCopy(other.Keys(0, 0), Keys(0, 0), Layout.PageBytes, Layout.PageBytes);
}

using Serverless.Requests;

namespace Serverless.Gateway.OpenAI;

/// <summary>The choices of an answer, each made when first needed: their number is the client's wish, not yet work.</summary>
/// <param name="count">How many.</param>
/// <param name="next">Takes the next part of a choice, of the record of that sequence.</param>
internal sealed class Choices(int count, Action<long, ChoiceOutput, ChoiceChunk> next)
{
    private readonly ChoiceOutput?[] _outputs = new ChoiceOutput?[count];

    /// <summary>False if it does not follow what came before: the answer is then broken.</summary>
    public bool TryAppend(long sequence, RequestEvent.Chunk chunk)
    {
        foreach (var part in chunk.Choices)
        {
            if (Find(part.Choice) is not { } choice) return false;

            switch (choice.Place(sequence, part))
            {
                case ChunkPlace.Next:
                    next(sequence, choice, part);
                    break;
                case ChunkPlace.Broken:
                    return false;
                default:
                    break;
            }
        }

        return true;
    }

    /// <summary>All of them, in order.</summary>
    public IReadOnlyList<ChoiceOutput> All()
    {
        for (var i = 0; i < _outputs.Length; i++) _outputs[i] ??= new ChoiceOutput(i);
        return _outputs!;
    }

    private ChoiceOutput? Find(int index) => (uint)index < (uint)_outputs.Length ? _outputs[index] ??= new ChoiceOutput(index) : null;
}

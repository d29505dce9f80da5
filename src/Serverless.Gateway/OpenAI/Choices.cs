namespace Serverless.Gateway.OpenAI;

/// <summary>The choices of an answer, each made when first needed: their number is the client's wish, not yet work.</summary>
internal sealed class Choices(int count)
{
    private readonly ChoiceOutput?[] _outputs = new ChoiceOutput?[count];

    /// <summary>The choice of that index; null if there is none.</summary>
    public ChoiceOutput? Find(int index) => (uint)index < (uint)_outputs.Length ? _outputs[index] ??= new ChoiceOutput(index) : null;

    /// <summary>All of them, in order.</summary>
    public IReadOnlyList<ChoiceOutput> All()
    {
        for (var i = 0; i < _outputs.Length; i++) _outputs[i] ??= new ChoiceOutput(i);
        return _outputs!;
    }
}
